// A/B: the same words by two engines, or by one with two settings; one after the other, and blindly if somebody wants to
// judge by ear alone. Knows a line by a function and a voice by its facts.
import { button, el, setText, t } from "./core.js";
import { obstacle } from "./voice_names.js";
import { plain, speakerForm } from "./voice_say.js";
import { problem } from "./voice_source.js";
import { say, useButton } from "./voice_spoken.js";
import { known } from "./voice_state.js";

const SIDES = ["A", "B"];

export class Compare {
  #spoken = [null, null]; // by side
  #places = [0, 1]; // which side stands where; turned at random while somebody judges blindly
  #queue = []; // what is heard next

  constructor({ voice, line, language, use }) {
    Object.assign(this, { voice, line, language, use });
    const second = known.engines.find((engine) => engine.id !== voice.engine && !obstacle(engine, plain(voice), language()))?.id || voice.engine;
    this.forms = [voice.engine, second].map((engine, side) => speakerForm({ voice, engine, prefix: `voice-${SIDES[side].toLowerCase()}`, onchange: () => this.fit() }));
    this.blind = el("input", { type: "checkbox", role: "switch", class: "l-switch", id: "voice-blind", onchange: () => this.#turn() });
    this.go = button(t("voice.compare.speak"), () => this.#speak(), { kind: "primary", iconName: "volume-2", id: "voice-compare" });
    this.both = button(t("voice.compare.play"), () => this.#play(), { iconName: "play", id: "voice-compare-play", disabled: true });
    this.why = el("span", { class: "l-hint", role: "status" });
    this.trouble = el("div", {});
    this.places = [0, 1].map((place) => el("div", { class: "l-vplace", dataset: { place } }));
    this.judge = el("div", { class: "l-vrow", hidden: true });
    this.element = el("div", { class: "l-stack l-vcompare" },
      el("div", { class: "l-vpair" }, this.forms.map((form, side) => el("div", { class: "l-vside" }, el("h3", {}, SIDES[side]), form.element))),
      el("div", { class: "l-vrow" }, this.go, this.both, el("label", { class: "l-vswitch" }, this.blind, el("span", {}, t("voice.compare.blind"))), this.why), this.trouble,
      el("div", { class: "l-vpair l-vplaces" }, this.places), this.judge);
    this.fit();
  }

  close() {
    this.#spoken.forEach((spoken) => spoken?.close());
  }

  refresh() {
    this.forms.forEach((form) => form.refresh());
    this.fit();
  }

  fit() {
    const language = this.language();
    for (const form of this.forms) if (form.language !== language) form.say(language);
    const stuck = this.forms.some((form) => form.obstacle(language));
    const same = this.forms[0].engine === this.forms[1].engine && JSON.stringify(this.forms[0].options()) === JSON.stringify(this.forms[1].options());
    setText(this.why, stuck ? t("voice.say.cannot") : !this.line().text ? t("voice.say.nothing") : same ? t("voice.compare.same") : "");
    this.go.disabled = stuck || !this.line().text || this.asking;
  }

  async #speak() {
    this.asking = true;
    this.fit();
    this.close();
    this.#spoken = [null, null];
    this.#queue = [];
    this.both.disabled = true;
    this.judge.hidden = true;
    this.trouble.replaceChildren();
    this.#places = this.blind.checked && Math.random() < 0.5 ? [1, 0] : [0, 1];
    try {
      for (const [side, form] of this.forms.entries()) {
        this.#spoken[side] = await say(this.voice, { ...this.line(), engine: form.engine, options: form.options() }, {
          autoplay: false, label: SIDES[side], onover: () => this.#over(), onend: () => this.#next(),
          tools: (one) => [useButton(one, this.use)],
        });
        this.#draw();
      }
    } catch (error) {
      this.trouble.replaceChildren(problem(error));
    }
    this.asking = false;
    this.fit();
  }

  /** Both are there: one after the other, in the order in which they stand. */
  #over() {
    const done = this.#spoken.every((spoken) => spoken?.take);
    this.both.disabled = !done;
    if (!done) return;
    this.#draw();
    if (this.element.offsetParent) this.#play();
  }

  #play() {
    this.#queue = this.#places.map((side) => this.#spoken[side]);
    this.#next();
  }

  #next() {
    const spoken = this.#queue.shift();
    for (const one of this.#spoken) one?.element.toggleAttribute("data-now", one === spoken);
    if (!spoken) return;
    spoken.sound.seek(0);
    spoken.sound.play();
  }

  #turn() {
    if (this.blind.checked && this.#spoken.every(Boolean) && Math.random() < 0.5) this.#places = [...this.#places].reverse();
    if (!this.blind.checked) this.#places = [0, 1];
    this.#draw();
  }

  #draw() {
    const blind = this.blind.checked;
    this.element.toggleAttribute("data-blind", blind);
    for (const [place, side] of this.#places.entries()) {
      const spoken = this.#spoken[side];
      spoken?.blind(blind ? t("voice.compare.nth", { n: place + 1 }) : "");
      this.places[place].replaceChildren(...(spoken ? [spoken.element] : []));
    }
    const ready = blind && this.#spoken.every((spoken) => spoken?.take);
    this.judge.hidden = !ready;
    if (ready) this.judge.replaceChildren(el("span", { class: "l-hint" }, t("voice.compare.which")), ...this.#places.map((side, place) => button(t("voice.compare.nth", { n: place + 1 }), () => this.#reveal(side))));
  }

  /** The one that was liked better, and who it is. */
  #reveal(side) {
    this.blind.checked = false;
    this.#turn();
    this.#spoken.forEach((spoken, at) => spoken.element.toggleAttribute("data-liked", at === side));
  }
}
