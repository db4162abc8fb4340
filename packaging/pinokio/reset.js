// launch.py uninstall: what was installed goes, the user's films and settings stay.
module.exports = {
  run: [
    {
      method: "shell.run",
      params: { path: "../..", message: "uv run --no-project --python 3.11 launch.py uninstall --yes" },
    },
  ],
}
