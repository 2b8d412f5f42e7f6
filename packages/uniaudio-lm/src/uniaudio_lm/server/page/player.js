// Sounds that share one playhead: a recording's steps, of which one is heard at a time.

import { hasKey, request } from "./api.js";

export class Player extends EventTarget {
  constructor() {
    super();
    this.sounds = new Map(); // name -> { audio, url }
    this.audio = null;
    this.name = null;
    this.until = null;
    this.tick = this.tick.bind(this);
  }

  /** Hear the sound at `address` from now on, from `time` on; it goes on playing if it played. */
  async use(name, address, time = 0) {
    const playing = this.playing;
    this.audio?.pause();
    let sound = this.sounds.get(name);
    if (!sound) {
      // A key goes in a header, which an audio element cannot send.
      const url = hasKey() ? URL.createObjectURL(await (await request(address)).blob()) : address;
      const audio = new Audio();
      audio.preload = "auto";
      audio.src = url;
      audio.addEventListener("ended", () => this.dispatchEvent(new Event("state")));
      audio.addEventListener("error", () => this.dispatchEvent(new Event("fault")));
      sound = { audio, url };
      this.sounds.set(name, sound);
    }
    this.audio = sound.audio;
    this.name = name;
    this.until = null;
    this.seek(time);
    if (playing) await this.play();
    this.dispatchEvent(new Event("time"));
  }

  get playing() {
    return Boolean(this.audio && !this.audio.paused && !this.audio.ended);
  }

  get time() {
    return this.audio ? this.wanted ?? this.audio.currentTime : 0;
  }

  seek(time) {
    const audio = this.audio;
    if (!audio) return;
    this.wanted = null;
    if (audio.readyState >= 1) audio.currentTime = time;
    else {
      this.wanted = time;
      audio.addEventListener("loadedmetadata", () => {
        if (this.wanted !== null && audio === this.audio) audio.currentTime = this.wanted;
        this.wanted = null;
      }, { once: true });
    }
    this.dispatchEvent(new Event("time"));
  }

  async play() {
    if (!this.audio) return;
    try {
      await this.audio.play();
    } catch (error) {
      if (error.name !== "AbortError") this.dispatchEvent(new Event("fault"));
      return;
    }
    this.dispatchEvent(new Event("state"));
    requestAnimationFrame(this.tick);
  }

  pause() {
    this.audio?.pause();
    this.until = null;
    this.dispatchEvent(new Event("state"));
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  /** Play from `start` to `end` seconds. */
  async span(start, end) {
    this.seek(Math.max(0, start));
    this.until = end;
    await this.play();
  }

  tick() {
    if (this.until !== null && this.time >= this.until) this.pause();
    this.dispatchEvent(new Event("time"));
    if (this.playing) requestAnimationFrame(this.tick);
    else this.dispatchEvent(new Event("state"));
  }

  clear() {
    this.pause();
    for (const { audio, url } of this.sounds.values()) {
      audio.removeAttribute("src");
      audio.load();
      if (url.startsWith("blob:")) URL.revokeObjectURL(url);
    }
    this.sounds.clear();
    this.audio = null;
    this.name = null;
  }
}
