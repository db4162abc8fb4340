// Two videos on one clock. The first one leads; whenever it shows a frame the other is measured against it: a small
// drift is made good by playing a little faster or slower, a large one by a jump. Knows two <video>s and nothing else.

const JUMP_S = 0.25; // further apart than this: jump
const PULL_S = 0.4; // a drift is made good in about this time
const MOST_PULL = 0.08; // share by which the other may play faster or slower

export class Pair {
  constructor(lead, other, { ontime = () => {} } = {}) {
    this.videos = [lead, other];
    this.ontime = ontime;
    this.rate = 1;
    this.repeating = true;
    this.frame = 1 / 24; // seconds
    for (const video of this.videos) {
      video.addEventListener("ended", () => this.#ended());
      video.addEventListener("seeked", () => this.ontime());
      video.addEventListener("loadeddata", () => this.ontime());
    }
    this.#watch();
  }

  get lead() {
    return this.videos[0];
  }

  get other() {
    return this.videos[1];
  }

  get playing() {
    return this.videos.some((video) => !video.paused && !video.ended);
  }

  get time() {
    return Math.max(...this.videos.map((video) => video.currentTime));
  }

  get total() {
    return Math.max(0, ...this.videos.map((video) => video.duration || 0));
  }

  /** How far the other is ahead, in seconds; 0 where one of them has ended. */
  get drift() {
    const over = (video) => video.currentTime >= (video.duration || 0) - this.frame;
    return this.videos.some(over) ? 0 : this.other.currentTime - this.lead.currentTime;
  }

  async play() {
    if (this.time >= this.total - this.frame) this.seek(0);
    else this.seek(this.time); // together, to the frame, before they start
    await Promise.all(this.videos.map(ready));
    this.videos.forEach((video) => (video.playbackRate = this.rate));
    await Promise.all(this.videos.filter((video) => !done(video)).map((video) => video.play().catch(() => {}))); // paused meanwhile
    this.ontime();
  }

  pause() {
    this.videos.forEach((video) => video.pause());
    this.seek(this.lead.ended ? this.time : this.lead.currentTime);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  /** Both to the middle of the same frame: a time on its edge may show either neighbour. */
  seek(seconds) {
    const to = Math.min(Math.max(0, seconds), Math.max(0, this.total - this.frame / 2));
    const middle = (Math.floor(to / this.frame + 1e-4) + 0.5) * this.frame;
    for (const video of this.videos) video.currentTime = Math.min(middle, Math.max(0, (video.duration || middle) - this.frame / 2));
    this.ontime();
  }

  jump(seconds) {
    this.seek(this.time + seconds);
  }

  step(frames) {
    if (this.playing) this.pause();
    this.seek(this.time + frames * this.frame);
  }

  speed(rate) {
    this.rate = rate;
    this.videos.forEach((video) => (video.playbackRate = rate));
  }

  /** Called with every frame that the first one shows. */
  #watch() {
    const { lead } = this;
    const next = () => (lead.requestVideoFrameCallback ? lead.requestVideoFrameCallback(look) : requestAnimationFrame(look));
    const look = () => {
      this.#align();
      this.ontime();
      if (lead.isConnected || lead.requestVideoFrameCallback) next();
    };
    next();
  }

  #align() {
    if (!this.playing || this.lead.paused || this.other.paused) return;
    const { drift } = this;
    if (Math.abs(drift) > JUMP_S) this.other.currentTime = this.lead.currentTime;
    const pull = Math.abs(drift) < this.frame / 8 ? 0 : Math.max(-MOST_PULL, Math.min(MOST_PULL, -drift / PULL_S));
    const wanted = this.rate * (1 + pull);
    if (Math.abs(this.other.playbackRate - wanted) > 0.002) this.other.playbackRate = wanted;
  }

  /** The shorter one waits on its last frame until the longer one is through. */
  #ended() {
    if (this.videos.some((video) => !done(video))) return;
    if (!this.repeating) return this.ontime();
    this.seek(0);
    this.play();
  }
}

const done = (video) => video.ended || (video.duration && video.currentTime >= video.duration - 0.001);

/** Once it can show where it stands. */
function ready(video) {
  if (video.readyState >= 3 && !video.seeking) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (video.readyState < 2 || video.seeking) return;
      for (const name of ["canplay", "seeked", "error"]) video.removeEventListener(name, look);
      resolve();
    };
    for (const name of ["canplay", "seeked", "error"]) video.addEventListener(name, look);
    video.addEventListener("error", resolve, { once: true });
  });
}
