// launch.py update, with a Python that Pinokio's uv finds or fetches.
module.exports = {
  run: [
    {
      method: "shell.run",
      params: { path: "../..", message: "uv run --no-project --python 3.11 launch.py update --yes" },
    },
  ],
}
