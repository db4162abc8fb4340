// Settings > About: which version this is, the machine, licences, where to read more, and what else can be set.
import { address, api, el, fmt, icon, t } from "./core.js";
import { block, facts, trouble, waiting } from "./settings_parts.js";
import { drawRest } from "./settings_values.js";

const LICENCES = [
  ["Inter", address("/ui/fonts/LICENSE-inter.txt")], ["Geist Mono", address("/ui/fonts/LICENSE-geist-mono.txt")],
  ["Instrument Serif", address("/ui/fonts/LICENSE-instrument-serif.txt")], ["Noto Sans SC", address("/ui/fonts/LICENSE-noto-sans-sc.txt")],
  ["Lucide", address("/ui/icons/LICENSE-lucide.txt")],
];
const DOCS = [["about.docs.api", address("/api/docs")], ["about.docs.shape", address("/api/openapi.json")]];

export function drawAbout(root) {
  const machine = el("div", {}, waiting());
  root.append(
    el("div", { class: "l-about" }, el("img", { src: address("/ui/logo.svg"), alt: "", width: 40, height: 40 }), el("div", {}, el("b", {}, "Lanterna"), el("p", { class: "l-hint" }, t("about.what")))),
    block("about.machine", machine),
    block("about.docs", el("ul", { class: "l-set-links" }, DOCS.map(([key, href]) => link(t(key), href))),
      el("p", { class: "l-hint" }, t("about.docs.files"))),
    block("about.doctor", el("p", { class: "l-hint" }, t("about.doctor.about")), el("code", { class: "l-set-code" }, "python3 launch.py doctor")),
    block("about.licences", el("p", { class: "l-hint" }, t("about.licences.about")), el("ul", { class: "l-set-links" }, LICENCES.map(([name, href]) => link(name, href)))));
  const look = async () => {
    try {
      const status = await api("GET", "/status");
      machine.replaceChildren(facts([
        [t("about.version"), status.version],
        [t("about.system"), status.system],
        [t("memory.gpu"), status.gpu ? `${status.gpu} · ${fmt.gigabytes(status.vram_gb)} GB` : t("memory.no_gpu")],
        [t("memory.cores"), fmt.number(status.cores)],
        [t("memory.ram"), `${fmt.gigabytes(status.ram_gb)} GB`],
        [t("about.disk"), `${fmt.gigabytes(status.disk_free_gb)} GB`],
      ]));
    } catch (error) {
      machine.replaceChildren(trouble(error, look));
    }
  };
  look();
  drawRest(root);
}

const link = (words, href) => el("li", {}, el("a", { class: "l-set-out", href, target: "_blank", rel: "noopener" }, icon("scroll-text"), words));
