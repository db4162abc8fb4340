// The studio runs until Pinokio stops it; the address that it prints is what the menu opens.
module.exports = {
  daemon: true,
  run: [
    {
      method: "shell.run",
      params: {
        path: "../..",
        message: "uv run --no-project --python 3.11 launch.py --no-browser",
        on: [{ event: "/http:\\/\\/127[0-9.:]+/", done: true }],
      },
    },
    { method: "local.set", params: { url: "{{input.event[0]}}" } },
  ],
}
