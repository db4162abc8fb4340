// Where everything stands on the film's clock, also while a change is on its way to the studio. Arithmetic only: knows
// the answer of /queues/{id}/timeline, no DOM and no REST.

export const LEAST_S = 0.3; // of a clip: trims leave that much

/** A timeline as it is drawn: the studio's answer, with the clips in another order or with other trims for a moment. */
export class Film {
  constructor(view) {
    Object.assign(this, { fps: view.frame.fps, title: view.title, credits: view.credits, music: view.music, seconds: view.seconds });
    this.clips = view.clips.map((clip) => ({ ...clip })); // + `lead`: what the dissolve before it shows of its neighbour
    this.#lead();
    this.byScene = new Map(this.clips.map((clip) => [clip.scene_id, clip]));
    const at = new Map(view.clips.map((clip) => [clip.scene_id, clip]));
    const inFile = (sound) => ({ ...sound, at: sound.start - at.get(sound.scene_id).start + at.get(sound.scene_id).trim[0] });
    this.lines = view.lines.map(inFile); // `at`: when it is heard, on the clock of its clip's file
    this.effects = view.effects.map(inFile);
  }

  clip(sceneId) {
    return this.byScene.get(sceneId);
  }

  /** When a sound of a clip is heard in the film, and what trims leave of it: {start, skip, duration}. */
  heard(sound) {
    const clip = this.clip(sound.scene_id);
    const late = Math.max(0, clip.trim[0] - sound.at); // cut off its beginning since the studio was asked
    const start = clip.start + sound.at - clip.trim[0] + late;
    const left = sound.duration - late;
    const room = clip.trim[1] ? clip.start + clip.duration - start : left; // a last word may go on past an untrimmed end
    return { start, skip: sound.skip + late, duration: Math.max(0, Math.min(left, room)) };
  }

  /** The clip that is seen at this second; of two that dissolve the one that is seen more. */
  at(seconds) {
    let low = 0;
    let high = this.clips.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const before = this.clips[middle - 1];
      if (this.clips[middle].start + before.overlap / 2 <= seconds) low = middle;
      else high = middle - 1;
    }
    const clip = this.clips[low];
    return clip && seconds >= clip.start - 1e-6 && seconds < clip.start + clip.duration + 1e-6 ? clip : null;
  }

  /** The clips of which something lies between two seconds. */
  between(from, to) {
    return this.clips.filter((clip) => clip.start < to && clip.start + clip.duration > from);
  }

  /** Puts a clip before the one that is at `index` among the others. */
  move(sceneId, index) {
    const others = this.clips.filter((clip) => clip.scene_id !== sceneId);
    others.splice(index, 0, this.clip(sceneId));
    this.clips = others;
    this.#lay();
  }

  /** Cuts a clip off at a second of its file, to the frame: edge 0 is its beginning, 1 its end. */
  trim(sceneId, edge, second) {
    const clip = this.clip(sceneId);
    const [start, end] = clip.trim;
    const whole = clip.take_duration;
    const other = edge ? start : end;
    const most = Math.floor(Math.max(0, whole - other - LEAST_S) * this.fps + 1e-6);
    const cut = Math.min(most, Math.max(0, Math.round((edge ? whole - second : second) * this.fps))) / this.fps;
    const trim = edge ? [start, cut] : [cut, end];
    clip.duration = Math.max(1 / this.fps, whole - trim[0] - trim[1]);
    clip.trim = trim.map((value) => Math.round(value * 1e4) / 1e4);
    this.#lay();
  }

  /** Clips that dissolve are drawn as if they were cut in the middle: nothing lies over anything. */
  #lead() {
    this.clips.forEach((clip, n) => (clip.lead = (this.clips[n - 1]?.overlap || 0) / 2));
  }

  #lay() {
    this.#lead();
    let at = this.title?.duration || 0;
    for (const clip of this.clips) {
      clip.start = at;
      at += clip.duration - clip.overlap;
    }
    at += this.clips.at(-1)?.overlap || 0;
    if (this.credits) {
      this.credits = { ...this.credits, start: at };
      at += this.credits.duration;
    }
    this.seconds = at;
  }
}
