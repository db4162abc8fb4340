// One line per feature: importing it makes it register its commands. Load order means nothing.
import "./queue_menu.js";
import "./palette.js";
import "./review.js";
import "./scene_filter.js";
import "./stage_commands.js";
import "./storage.js";
import "./reports.js";
import "./run_menu.js";
import "./preflight.js";
import "./packages.js";
import "./editing.js";
import "./presets.js";
import "./film_dialog.js";
import "./scene_cut.js";
import "./take_clip.js";
import "./casting.js";
import "./relink_queue.js";
