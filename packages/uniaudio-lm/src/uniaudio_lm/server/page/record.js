// The microphone as a wav file: samples come from an audio worklet, 16 bits, one channel.

import { ServerError } from "./api.js";
import { t } from "./i18n.js";

/** Begin to record; `stop()` gives a File, `take()` what was recorded until now. `onPiece` gets each
 * piece of samples as it comes, and the rate. */
export async function record(name = "recording.wav", onPiece = null) {
  let stream;
  try {
    if (!navigator.mediaDevices) throw new Error("https or localhost is needed");
    stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  } catch (error) {
    throw new ServerError(t("noMic", { reason: error.message || error.name }));
  }
  const context = new AudioContext();
  await context.audioWorklet.addModule("/page/record-worklet.js");
  const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  const pieces = [];
  let level = 0;
  node.port.onmessage = ({ data }) => {
    pieces.push(data);
    onPiece?.(data, context.sampleRate);
    level = Math.max(0.8 * level, data.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  };
  context.createMediaStreamSource(stream).connect(node);
  const take = () => new File([wav(pieces, context.sampleRate)], name, { type: "audio/wav" });
  const end = () => {
    stream.getTracks().forEach((track) => track.stop());
    context.close();
  };
  return {
    sampleRate: context.sampleRate,
    get seconds() { return pieces.reduce((sum, piece) => sum + piece.length, 0) / context.sampleRate; },
    get level() { return level; },
    take,
    stop() { end(); return take(); },
    cancel: end,
  };
}

function wav(pieces, rate) {
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * size));
  const text = (at, value) => [...value].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + 2 * size, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, 2 * size, true);
  let at = 44;
  for (const piece of pieces) for (const value of piece) {
    view.setInt16(at, Math.max(-32768, Math.min(32767, Math.round(32767 * value))), true);
    at += 2;
  }
  return view.buffer;
}
