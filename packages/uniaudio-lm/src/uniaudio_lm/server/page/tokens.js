// The tab "Tokens": what a recording is to the model. A .mtok file is safetensors, read here.

import { request } from "./api.js";
import { t } from "./i18n.js";
import { palette } from "./sound.js";
import { AUDIO, Busy, button, chooseFile, errorBox, h, keep, stem } from "./ui.js";

/** The latents of a .mtok file: { rows: [[...]], dims, frames, rate, storage, model }. */
export function readMtok(buffer) {
  const view = new DataView(buffer);
  const size = Number(view.getBigUint64(0, true));
  if (size > 1 << 20 || size + 8 > buffer.byteLength) throw new Error("header");
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, size)));
  const meta = header.__metadata__ ?? {};
  const { dtype, shape, data_offsets: [begin] } = header.values;
  const [, frames, dims] = shape;
  const read = (name, type) => {
    const { data_offsets: [a, b] } = header[name];
    return new type(buffer.slice(8 + size + a, 8 + size + b));
  };
  const scale = header.scale ? read("scale", Float32Array) : null;
  const at = 8 + size + begin;
  const value = {
    F32: (i) => view.getFloat32(at + 4 * i, true),
    F16: (i) => half(view.getUint16(at + 2 * i, true)),
    I8: (i) => view.getInt8(at + i) * scale[i % dims],
  }[dtype];
  const data = new Float32Array(frames * dims);
  for (let i = 0; i < data.length; i += 1) data[i] = value(i);
  return { data, frames, dims, storage: { F32: "float32", F16: "float16", I8: "int8" }[dtype], rate: Number(meta.frame_rate ?? 0), model: meta.model_id ?? "" };
}

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * 2 ** -14 * (fraction / 1024);
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}

function heatmap(latents) {
  const { data, frames, dims } = latents;
  const columns = Math.min(frames, 1200);
  const canvas = h("canvas", { class: "latents", role: "img", "aria-label": t("latents") });
  canvas.width = columns;
  canvas.height = dims;
  const image = new ImageData(columns, dims);
  const colours = palette();
  for (let d = 0; d < dims; d += 1) {
    let low = Infinity, high = -Infinity;
    for (let f = 0; f < frames; f += 1) { low = Math.min(low, data[f * dims + d]); high = Math.max(high, data[f * dims + d]); }
    for (let x = 0; x < columns; x += 1) {
      const f = Math.floor((x * frames) / columns);
      const level = 60 + Math.round((195 * (data[f * dims + d] - low)) / (high - low || 1));
      image.data.set(colours.subarray(4 * level, 4 * level + 4), 4 * (d * columns + x));
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

export async function start(root) {
  const now = h("div");
  const result = h("div");

  const encode = (file) => work(t("encoding"), file, async (signal) => {
    const form = new FormData();
    form.append("file", file, file.name);
    const mtok = await (await request("/v1/audio/tokens", { form, signal })).arrayBuffer();
    await show(file.name, mtok, signal, file);
  });
  const decode = (file) => work(t("decoding"), file, async (signal) => {
    await show(file.name, await file.arrayBuffer(), signal, null);
  });

  async function work(text, file, task) {
    const stop = new AbortController();
    const busy = new Busy(text, () => stop.abort());
    now.replaceChildren(busy.element);
    try {
      await task(stop.signal);
      now.replaceChildren();
    } catch (error) {
      now.replaceChildren(...(error.name === "AbortError" ? [] : [errorBox(error)]));
    } finally {
      busy.end();
    }
  }

  async function show(name, mtok, signal, source) {
    let latents;
    try {
      latents = readMtok(mtok);
    } catch {
      throw new Error(t("badMtok", { name }));
    }
    const form = new FormData();
    form.append("file", new Blob([mtok]), `${stem(name)}.mtok`);
    const decoded = await (await request("/v1/audio/tokens/decode", { form, signal })).blob();
    const fact = (term, value) => h("div", {}, h("dt", {}, term), h("dd", {}, value));
    const sound = (label, blob) => h("div", { class: "field" }, h("p", { class: "label" }, label), h("audio", { controls: true, src: URL.createObjectURL(blob), preload: "metadata", "aria-label": label }));
    const share = source ? ` · ${((100 * mtok.byteLength) / source.size).toFixed(0)} % ${t("ofSource")}` : "";
    result.replaceChildren(h("section", { class: "card", "aria-label": name },
      h("h2", {}, name),
      h("dl", { class: "facts-list" },
        fact(t("frames"), `${latents.frames.toLocaleString()}${latents.rate ? ` (${latents.rate} ${t("perSecond")})` : ""}`),
        fact(t("dims"), String(latents.dims)), fact(t("storage"), latents.storage),
        fact(t("fileSize"), `${(mtok.byteLength / 1024).toFixed(1)} kB${share}`)),
      h("p", { class: "label" }, t("latents")), heatmap(latents),
      h("div", { class: "fields" }, source ? sound(t("source"), source) : null, sound(t("decoded"), decoded)),
      h("div", { class: "row" }, button(t("saveMtok"), () => keep(new Blob([mtok], { type: "application/octet-stream" }), `${stem(name)}.mtok`), { sign: "save" }))));
  }

  const take = (file) => (file.name.endsWith(".mtok") ? decode(file) : encode(file));
  root.replaceChildren(h("div", { class: "single" },
    h("section", { class: "card" }, h("h1", {}, t("tokensTitle")), h("p", { class: "lead" }, t("tokensIdle")),
      h("div", { class: "row" },
        button(t("openAudio"), async () => { const file = await chooseFile(AUDIO); if (file) take(file); }, { sign: "open", kind: "main" }),
        button(t("openMtok"), async () => { const file = await chooseFile(".mtok"); if (file) take(file); }, { sign: "open" })),
      now),
    result));
  return { take };
}
