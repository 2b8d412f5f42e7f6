// Waveform over spectrogram on one canvas, with words, selection, changes and playhead; tiles come
// from the server. Seconds are the unit everywhere.

import { request } from "./api.js";
import { t } from "./i18n.js";
import { h, signButton } from "./ui.js";

const COLUMNS = 512; // of a tile
const BANDS = 64;
const LONG = 30; // seconds from which an overview is shown
const WAVE = 84, SPECTRUM = 116, LABELS = 38;

export class SoundView {
  /**
   * `tileAddress(start, end, width)` gives the address of a part; `on.seek(time)`,
   * `on.select(start, end, done)` are told what the pointer does.
   */
  constructor(on) {
    this.on = on;
    this.tiles = new Map();
    this.source = null;
    this.words = [];
    this.selection = null;
    this.marks = [];
    this.time = 0;
    this.range = [0, 1];
    this.canvas = h("canvas", { class: "wave", tabindex: "0", role: "slider", "aria-valuemin": "0", "aria-valuemax": "0", "aria-valuenow": "0", "aria-label": t("soundLabel") });
    this.overview = h("canvas", { class: "overview", "aria-label": t("overview"), role: "img", hidden: true });
    this.element = h("div", { class: "sound" }, this.overview, this.canvas);
    this.tools = h("div", { class: "row tools" },
      signButton(t("zoomOut"), "minus", () => this.zoom(1.6)),
      signButton(t("zoomIn"), "plus", () => this.zoom(1 / 1.6)),
      signButton(t("zoomAll"), "fit", () => this.show(0, this.seconds)));
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    addEventListener("themechange", () => this.recolour());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
  }

  /** Draw another sound; the view stays where it fits. */
  use(source) {
    const before = this.source;
    this.source = source;
    this.seconds = source.seconds;
    this.canvas.setAttribute("aria-valuemax", source.seconds.toFixed(2));
    this.overview.hidden = source.seconds <= LONG;
    if (!before || before.work !== source.work) this.range = [0, Math.min(source.seconds, LONG)];
    else if (this.range[0] === 0 && Math.abs(this.range[1] - before.seconds) < 0.02) this.range = [0, source.seconds];
    this.show(...this.range);
  }

  show(start, end) {
    const length = Math.min(this.seconds, Math.max(0.05, end - start));
    const first = Math.max(0, Math.min(start, this.seconds - length));
    this.range = [first, first + length];
    this.draw();
  }

  zoom(factor, at = null) {
    const [a, b] = this.range;
    const inside = this.time >= a && this.time <= b;
    const centre = at ?? (inside ? this.time : (a + b) / 2);
    const length = (b - a) * factor;
    const share = (centre - a) / (b - a);
    this.show(centre - share * length, centre + (1 - share) * length);
  }

  /** Move the view so that `time` is in it. */
  reveal(time) {
    const [a, b] = this.range;
    if (time < a || time > b) this.show(time - 0.1 * (b - a), time + 0.9 * (b - a));
  }

  moveTo(time, follow) {
    this.time = time;
    const now = time.toFixed(1);
    if (this.canvas.getAttribute("aria-valuenow") !== now) {
      this.canvas.setAttribute("aria-valuenow", now);
      this.canvas.setAttribute("aria-valuetext", t("seconds", { s: now }));
    }
    if (follow) this.reveal(time);
    this.draw();
  }

  listen() {
    const canvas = this.canvas;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return this.range[0] + ((event.clientX - box.left) / box.width) * (this.range[1] - this.range[0]);
    };
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const [a, b] = this.range;
      const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (Math.abs(sideways) > Math.abs(event.deltaY) || event.shiftKey) this.show(a + ((b - a) * sideways) / 800, b + ((b - a) * sideways) / 800);
      else this.zoom(Math.exp(event.deltaY / 400), place(event));
    }, { passive: false });
    let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      from = { x: event.clientX, time: place(event), dragged: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      from.dragged ||= Math.abs(event.clientX - from.x) > 4;
      if (from.dragged) this.on.select(Math.min(from.time, place(event)), Math.max(from.time, place(event)), false);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (!from) return;
      if (from.dragged) this.on.select(Math.min(from.time, place(event)), Math.max(from.time, place(event)), true);
      else this.on.seek(Math.max(0, Math.min(place(event), this.seconds)));
      from = null;
    });
    canvas.addEventListener("pointercancel", () => { from = null; });
    canvas.addEventListener("keydown", (event) => {
      const [a, b] = this.range;
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (move) {
        event.preventDefault();
        const step = (b - a) / 50;
        this.on.seek(Math.max(0, Math.min(this.time + move * step, this.seconds)));
        this.reveal(this.time);
      }
    });
    const jump = (event) => {
      const box = this.overview.getBoundingClientRect();
      const centre = ((event.clientX - box.left) / box.width) * this.seconds;
      const half = (this.range[1] - this.range[0]) / 2;
      this.show(centre - half, centre + half);
    };
    this.overview.addEventListener("pointerdown", (event) => { this.overview.setPointerCapture(event.pointerId); jump(event); });
    this.overview.addEventListener("pointermove", (event) => { if (event.buttons) jump(event); });
  }

  // --- tiles ---

  tile(source, length, index) {
    const id = `${source.id} ${length} ${index}`;
    let tile = this.tiles.get(id);
    if (!tile) {
      tile = { data: null, picture: null };
      this.tiles.set(id, tile);
      if (this.tiles.size > 400) this.tiles.delete(this.tiles.keys().next().value);
      const start = index * length;
      request(source.view(start, start + length, COLUMNS))
        .then((answer) => answer.arrayBuffer())
        .then((data) => { tile.data = new Uint8Array(data); this.draw(); })
        .catch(() => this.tiles.delete(id));
    }
    return tile.data ? tile : null;
  }

  picture(tile) {
    if (!tile.picture) {
      const colours = palette();
      const image = new ImageData(COLUMNS, BANDS);
      const levels = tile.data.subarray(2 * COLUMNS);
      for (let row = 0; row < BANDS; row += 1) {
        const to = 4 * (BANDS - 1 - row) * COLUMNS;
        for (let x = 0; x < COLUMNS; x += 1) image.data.set(colours.subarray(4 * levels[row * COLUMNS + x], 4 * levels[row * COLUMNS + x] + 4), to + 4 * x);
      }
      tile.picture = new OffscreenCanvas(COLUMNS, BANDS);
      tile.picture.getContext("2d").putImageData(image, 0, 0);
    }
    return tile.picture;
  }

  recolour() {
    colours = null;
    for (const tile of this.tiles.values()) tile.picture = null;
    this.draw();
  }

  // --- drawing ---

  draw() {
    if (this.waiting || !this.source) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.paint();
      if (!this.overview.hidden) this.paintOverview();
    });
  }

  paint() {
    const box = this.canvas.getBoundingClientRect();
    if (!box.width) return;
    const scale = devicePixelRatio || 1;
    const W = box.width, H = WAVE + SPECTRUM + LABELS;
    if (this.canvas.width !== Math.round(W * scale)) this.canvas.width = Math.round(W * scale);
    if (this.canvas.height !== Math.round(H * scale)) this.canvas.height = Math.round(H * scale);
    const g = this.canvas.getContext("2d");
    const css = styles();
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, W, H);
    const [a, b] = this.range;
    const x = (time) => ((time - a) / (b - a)) * W;

    // The shortest tiles (a power of two of seconds) that are not finer than the screen.
    const wanted = (COLUMNS * (b - a)) / W;
    const length = 2 ** Math.ceil(Math.log2(Math.max(wanted, 0.125)) - 0.01);
    for (let i = Math.floor(a / length); i * length < Math.min(b, this.seconds); i += 1) {
      let tile = this.tile(this.source, length, i);
      let start = i * length, span = length, from = 0, columns = COLUMNS;
      if (!tile) {
        // A coarser one that is there already, for the moment.
        for (let k = 2; k <= 1024 && !tile; k *= 2) {
          const found = this.tiles.get(`${this.source.id} ${length * k} ${Math.floor(start / (length * k))}`);
          if (found?.data) {
            tile = found;
            columns = COLUMNS / k;
            from = ((start % (length * k)) / (length * k)) * COLUMNS;
          }
        }
      }
      if (!tile) continue;
      g.imageSmoothingEnabled = true;
      g.drawImage(this.picture(tile), from, 0, columns, BANDS, x(start), WAVE, x(start + span) - x(start), SPECTRUM);
      this.wave(g, tile, from, columns, x(start), x(start + span), 0, WAVE, css.wave);
    }
    g.fillStyle = css.outside;
    if (b > this.seconds) g.fillRect(x(this.seconds), 0, W, H);

    for (const mark of this.marks) {
      const left = x(mark[0]), right = Math.max(x(mark[1]), left + 3);
      g.fillStyle = css.markSoft;
      g.fillRect(left, 0, right - left, WAVE + SPECTRUM);
      g.fillStyle = css.mark;
      g.fillRect(left, 0, right - left, 3);
    }
    if (this.selection) {
      const left = x(this.selection[0]), right = Math.max(x(this.selection[1]), left + 2);
      g.fillStyle = css.selection;
      g.fillRect(left, 0, right - left, WAVE + SPECTRUM);
      g.fillStyle = css.accent;
      g.fillRect(left, 0, 1.5, WAVE + SPECTRUM);
      g.fillRect(right - 1.5, 0, 1.5, WAVE + SPECTRUM);
    }
    this.labels(g, x, css, W);
    const head = x(this.time);
    if (head >= -1 && head <= W + 1) {
      g.fillStyle = css.head;
      g.fillRect(Math.round(head) - 0.75, 0, 1.5, WAVE + SPECTRUM);
      g.beginPath();
      g.arc(Math.round(head), 4, 4, 0, 7);
      g.fill();
    }
  }

  wave(g, tile, from, columns, left, right, top, height, colour) {
    const low = new Int8Array(tile.data.buffer, 0, COLUMNS), high = new Int8Array(tile.data.buffer, COLUMNS, COLUMNS);
    const middle = top + height / 2, size = height / 2 - 4;
    const width = (right - left) / columns;
    // Small sounds are made visible: a power of the level.
    const lift = (value) => Math.sign(value) * (Math.abs(value) / 128) ** 0.65;
    const first = Math.floor(from), last = Math.min(COLUMNS, Math.ceil(from + columns));
    const x = (i) => left + (i + 0.5 - from) * width;
    g.fillStyle = colour;
    g.beginPath();
    g.moveTo(left, middle - lift(high[first]) * size - 0.5);
    for (let i = first; i < last; i += 1) g.lineTo(x(i), middle - lift(high[i]) * size - 0.5);
    g.lineTo(right, middle - lift(high[last - 1]) * size - 0.5);
    g.lineTo(right, middle - lift(low[last - 1]) * size + 0.5);
    for (let i = last - 1; i >= first; i -= 1) g.lineTo(x(i), middle - lift(low[i]) * size + 0.5);
    g.lineTo(left, middle - lift(low[first]) * size + 0.5);
    g.fill();
  }

  labels(g, x, css, W) {
    const top = WAVE + SPECTRUM;
    g.font = `12px ${css.font}`;
    g.textBaseline = "middle";
    g.textAlign = "center";
    const edges = [-9, -9]; // of two rows: a word that does not fit in the first goes below
    for (const word of this.words) {
      const left = x(word.start), right = x(word.end);
      if (right < 0 || left > W) continue;
      const width = g.measureText(word.text).width;
      const middle = Math.max(width / 2 + 2, Math.min(W - width / 2 - 2, (left + right) / 2));
      g.fillStyle = css.line;
      if (right - left > 8) g.fillRect(Math.round(left), top, 1, 5);
      const row = edges.findIndex((edge) => middle - width / 2 >= edge + 6);
      if (row < 0) continue;
      g.fillStyle = this.time >= word.start && this.time < word.end ? css.accent : css.muted;
      g.fillText(word.text, middle, top + 14 + 15 * row);
      edges[row] = middle + width / 2;
    }
  }

  paintOverview() {
    const box = this.overview.getBoundingClientRect();
    if (!box.width) return;
    const scale = devicePixelRatio || 1;
    const W = box.width, H = 40;
    this.overview.width = Math.round(W * scale);
    this.overview.height = Math.round(H * scale);
    const g = this.overview.getContext("2d"), css = styles();
    g.setTransform(scale, 0, 0, scale, 0, 0);
    const x = (time) => (time / this.seconds) * W;
    const length = 2 ** Math.ceil(Math.log2(this.seconds) - 0.01);
    const tile = this.tile(this.source, length, 0);
    if (tile) {
      const columns = (this.seconds / length) * COLUMNS;
      this.wave(g, tile, 0, columns, 0, W, 0, H, css.muted);
    }
    for (const mark of this.marks) {
      g.fillStyle = css.mark;
      g.fillRect(x(mark[0]), 0, Math.max(2, x(mark[1]) - x(mark[0])), 3);
    }
    g.fillStyle = css.selection;
    g.fillRect(x(this.range[0]), 0, x(this.range[1]) - x(this.range[0]), H);
    g.strokeStyle = css.accent;
    g.strokeRect(x(this.range[0]) + 0.5, 0.5, Math.max(2, x(this.range[1]) - x(this.range[0]) - 1), H - 1);
    g.fillStyle = css.head;
    g.fillRect(x(this.time), 0, 1.5, H);
  }
}

function styles() {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    wave: value("wave"), muted: value("muted"), line: value("line-strong"), accent: value("accent"), head: value("head"),
    mark: value("mark"), markSoft: value("mark-soft"), selection: value("selection"), outside: value("bg"), font: "system-ui, sans-serif",
  };
}

let colours = null;

/** 256 colours from the background to the ink, as the theme has them. */
export function palette() {
  if (colours) return colours;
  const style = getComputedStyle(document.documentElement);
  const stops = ["spec-0", "spec-1", "spec-2", "spec-3"].map((name) => {
    const hex = style.getPropertyValue(`--${name}`).trim();
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  });
  colours = new Uint8ClampedArray(4 * 256);
  for (let i = 0; i < 256; i += 1) {
    const place = Math.max(0, (i - 60) / 195) * (stops.length - 1);
    const k = Math.min(stops.length - 2, Math.floor(place));
    for (let c = 0; c < 3; c += 1) colours[4 * i + c] = stops[k][c] + (place - k) * (stops[k + 1][c] - stops[k][c]);
    colours[4 * i + 3] = 255;
  }
  return colours;
}

