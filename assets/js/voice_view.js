// One voice: what it is, what it can be told to say, how it sounds, who speaks with it. Knows a voice by its id.
import { address, api, ask, button, confirmDialog, el, errorWords, fmt, icon, iconButton, openMenu, t, toast, toastError } from "./core.js";
import { presetName, summary } from "./voice_names.js";
import { Profile } from "./voice_profile.js";
import { Say } from "./voice_say.js";
import { SoundBar, hush } from "./voice_sound.js";
import { change, known, readVoices, voiceOf } from "./voice_state.js";
import { assetPeaks } from "./waves.js";

export class VoiceView {
  /** onedit(): to be changed; onback(): to the list, on narrow screens; ongone(): it was deleted. */
  constructor({ voice, onedit, onback, ongone }) {
    Object.assign(this, { voice, onedit, ongone });
    this.title = el("h1", { tabindex: -1 });
    this.sub = el("p", { class: "l-hint" });
    this.profile = new Profile(voice);
    this.say = new Say({ voice, onlay: (spoken) => this.profile.lay(spoken) });
    this.users = el("div", { class: "l-vusers" });
    this.sample = el("section", { class: "l-vpart" });
    this.element = el("div", { class: "l-vview" },
      el("header", { class: "l-vhead" }, iconButton("arrow-left", t("voice.back"), onback, { class: "l-ib l-vback" }), el("div", {}, this.title, this.sub),
        el("div", { class: "l-vhead-tools" }, button(t("voice.edit"), onedit, { iconName: "pencil", id: "voice-edit" }),
          iconButton("ellipsis", t("common.more"), (event) => this.#menu(event.currentTarget), { id: "voice-more", "aria-haspopup": "menu" }))),
      el("div", { class: "l-vbody" }, this.say.element,
        el("aside", { class: "l-vaside", "aria-label": t("voice.facts") }, this.sample, this.profile.element, el("section", { class: "l-vpart" }, el("h2", {}, t("voice.users")), this.users))));
    this.#draw();
  }

  close() {
    hush();
    this.say.close();
  }

  /** The voice may have changed, or who speaks with it. */
  refresh() {
    const voice = voiceOf(this.voice.id);
    if (!voice) return;
    const differs = JSON.stringify([voice.engine, voice.settings, voice.sample, voice.transcript, voice.language, voice.preset]) !== JSON.stringify([this.voice.engine, this.voice.settings, this.voice.sample, this.voice.transcript, this.voice.language, this.voice.preset]);
    Object.assign(this.voice, voice);
    if (differs) this.say.refresh();
    this.profile.draw();
    this.#draw();
  }

  engines() {
    this.say.refresh();
  }

  #draw() {
    const { voice } = this;
    this.title.textContent = voice.name;
    this.sub.textContent = summary(voice);
    this.#sample();
    this.#characters();
  }

  #sample() {
    const { voice } = this;
    const key = JSON.stringify([voice.sample, voice.transcript, voice.consent, voice.note, voice.preset]);
    if (this.sample.dataset.key === key) return;
    this.sample.dataset.key = key;
    this.sample.replaceChildren(el("h2", {}, t(voice.sample ? "voice.sample" : "voice.own")));
    if (voice.sample) {
      const bar = new SoundBar({ label: voice.name });
      bar.load(address(`/api/voices/${voice.id}/sample`), { peaks: assetPeaks(voice.sample.sha256), duration: voice.sample.seconds });
      this.sample.append(bar.element);
    } else this.sample.append(el("p", { class: "l-hint" }, voice.preset ? t("voice.own.preset", { preset: presetName(voice.preset) }) : t("voice.own.plain")));
    if (voice.transcript) this.sample.append(el("blockquote", { class: "l-vquote" }, voice.transcript));
    if (voice.consent) this.sample.append(el("p", { class: "l-hint l-vagreed" }, icon("check"), t("voice.consent.given", { by: voice.consent.by, at: fmt.date(voice.consent.at) })));
    if (voice.note) this.sample.append(el("p", { class: "l-hint" }, voice.note));
  }

  #characters() {
    const { voice } = this;
    const used = voice.used_by.map((one) => el("li", {}, el("span", {}, one.name), el("span", { class: "l-hint" }, one.project),
      iconButton("x", t("voice.users.take", { name: one.name }), () => change("DELETE", `/voices/${voice.id}/characters/${one.id}`))));
    const free = known.characters.filter((one) => !voice.used_by.some((user) => user.id === one.id));
    const select = el("select", { class: "l-select", id: "voice-give", "aria-label": t("voice.users.give"), onchange: () => select.value && this.#give(free.find((one) => one.id === select.value)) },
      el("option", { value: "" }, t("voice.users.give")), free.map((one) => el("option", { value: one.id }, [one.name, one.project, one.voice].filter(Boolean).join(" · "))));
    this.users.replaceChildren(...(used.length ? [el("ul", {}, used)] : []), ...(free.length ? [select] : []),
      ...(known.characters.length ? [] : [el("p", { class: "l-hint" }, t("voice.users.none"))]));
  }

  async #give(character) {
    const sure = !character.voice || (await confirmDialog({ title: t("voice.users.ask", { name: character.name, voice: this.voice.name }), text: t("voice.users.ask.text", { name: character.name, voice: character.voice }), yes: t("voice.users.yes") }));
    if (sure && (await change("POST", `/voices/${this.voice.id}/characters`, { character: character.id })) !== undefined) toast(t("voice.users.given", { name: character.name, voice: this.voice.name }), "", "ok");
    else this.#characters();
  }

  #menu(anchor) {
    openMenu(anchor, [
      { label: t("voice.edit"), icon: "pencil", onclick: this.onedit },
      { label: t("voice.export"), icon: "package", onclick: () => this.#export() },
      null,
      { label: t("common.delete"), icon: "trash-2", danger: true, onclick: () => this.#delete() },
    ]);
  }

  #export() {
    const link = el("a", { href: address(`/api/voices/${this.voice.id}/package`), download: "" });
    document.body.append(link);
    link.click();
    link.remove();
  }

  async #delete() {
    const { voice } = this;
    if (!(await confirmDialog({ title: t("voice.delete", { name: voice.name }), text: t("voice.delete.text"), yes: t("common.delete"), danger: true }))) return;
    try {
      await this.#away("");
    } catch (error) {
      if (error.code !== "voice.used") return void toastError(error);
      const { message, hint } = errorWords(error);
      const force = await ask({ title: t("voice.delete.used"), text: `${message} ${hint}`, choices: [{ value: false, label: t("common.cancel") }, { value: true, label: t("voice.delete.force"), kind: "danger" }] });
      if (force) await this.#away("?force=true").catch(toastError);
    }
  }

  async #away(how) {
    await api("DELETE", `/voices/${this.voice.id}${how}`);
    toast(t("voice.deleted", { name: this.voice.name }), "", "ok");
    await readVoices();
    this.ongone();
  }
}
