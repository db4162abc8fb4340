// Lanterna in Pinokio: its menu. Every button runs launch.py (packaging/pinokio); nothing is done here.
const scripts = "packaging/pinokio/"

const button = (icon, text, name, more = {}) => ({ icon: `fa-solid fa-${icon}`, text, href: scripts + name, ...more })

const BUSY = [
  ["install.js", "download", "Setting up"],
  ["update.js", "arrows-rotate", "Updating"],
  ["reset.js", "broom", "Removing"],
]

module.exports = {
  version: "3.7",
  title: "Lanterna",
  description: "A film studio on your own machine",
  icon: "assets/app/lanterna-512.png",
  menu: async (kernel, info) => {
    for (const [name, icon, text] of BUSY) {
      if (info.running(scripts + name)) return [button(icon, text, name, { default: true })]
    }
    if (info.running(scripts + "start.js")) {
      const { url } = info.local(scripts + "start.js")
      const open = { icon: "fa-solid fa-film", text: "Open the studio", href: url, default: true }
      return [...(url ? [open] : []), button("terminal", "Terminal", "start.js", { default: !url })]
    }
    if (!info.exists(".venv/lanterna.json")) return [button("download", "Install", "install.js", { default: true })]
    return [
      button("play", "Start", "start.js", { default: true }),
      button("arrows-rotate", "Update", "update.js"),
      button("broom", "Reset", "reset.js"),
    ]
  },
}
