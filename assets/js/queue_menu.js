// What the "…" menu of a queue has always had.
import { api, command, el, toastError } from "./core.js";
import { state, verbs } from "./queues.js";

const queue = () => state.queue;
const open = () => Boolean(state.queue);

command("queue.rename", { label: "queues.rename", icon: "pencil", menu: "queue", group: 10, when: open, enabled: () => !queue().inbox, run: verbs.rename });
command("queue.export", { label: "queues.export", icon: "file-json", menu: "queue", group: 20, when: open, run: saveEpisode });
command("queue.allow_draft", {
  label: "queues.allow_draft", menu: "queue", group: 30, when: open, checked: () => queue().allow_draft,
  run: () => verbs.change({ allow_draft: !queue().allow_draft }),
});
command("queue.delete", { label: "queues.delete", icon: "trash-2", menu: "queue", group: 90, danger: true, when: open, enabled: () => !queue().inbox, run: verbs.remove });

async function saveEpisode() {
  try {
    const episode = await api("GET", `/queues/${queue().id}/episode`);
    const url = URL.createObjectURL(new Blob([JSON.stringify(episode, null, 2)], { type: "application/json" }));
    el("a", { href: url, download: `${queue().name || "episode"}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  } catch (error) {
    toastError(error);
  }
}
