// Requests to the server that the page came from. Nothing else is ever asked.

import { t } from "./i18n.js";
import { h, button } from "./ui.js";

export class ServerError extends Error {
  constructor(message, status = 0, body = {}) {
    super(message);
    this.status = status;
    this.code = body.code ?? null;
  }
}

const KEY = "uniaudio-key";
let asking = null;
let key = sessionStorage.getItem(KEY) ?? "";

/** Whether requests carry a key, so that plain addresses would be refused. */
export const hasKey = () => key !== "";

/** The answer to a request, once it is a good one. `json` or `form` is its body. */
export async function request(path, { method = "", json = null, form = null, signal = null } = {}) {
  for (;;) {
    const used = key;
    const headers = {};
    if (key) headers.Authorization = `Bearer ${key}`;
    if (json !== null) headers["Content-Type"] = "application/json";
    const body = json !== null ? JSON.stringify(json) : form;
    let answer;
    try {
      answer = await fetch(path, { method: method || (body ? "POST" : "GET"), headers, body, signal });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ServerError(t("noServer"));
    }
    if (answer.ok) return answer;
    if (answer.status === 401) {
      // One question for all the requests that wait; a key that came meanwhile is tried first.
      if (used === key) await (asking ??= askKey(key !== "").finally(() => { asking = null; }));
      continue;
    }
    throw await refusal(answer);
  }
}

async function refusal(answer) {
  let error = {};
  try {
    error = (await answer.json()).error ?? {};
  } catch {
    // not the server's own words
  }
  if (answer.status === 429) return new ServerError(t("serverBusy", { s: answer.headers.get("Retry-After") ?? "?" }), 429, error);
  return new ServerError(error.message ?? t("failed", { status: answer.status }), answer.status, error);
}

export const getJson = async (path, options) => (await request(path, options)).json();

/** Lines of JSON as they come: `onEvent` gets each; returns the last. */
export async function lines(path, json, onEvent, signal) {
  const answer = await request(path, { json, signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let last = null;
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ServerError(t("noServer"));
    }
    if (part.done) break;
    const pieces = (rest + part.value).split("\n");
    rest = pieces.pop();
    for (const piece of pieces) {
      last = JSON.parse(piece);
      if (last.error) throw new ServerError(last.error.message, 500, last.error);
      onEvent(last);
    }
  }
  if (last === null) throw new ServerError(t("noServer"));
  return last;
}

/** Ask for the API key until one is given. */
function askKey(wrong) {
  return new Promise((resolve) => {
    const input = h("input", { type: "password", autocomplete: "off", required: true, "aria-label": t("apiKey") });
    const dialog = h(
      "dialog", { class: "card", "aria-label": t("apiKey") },
      h("form", { method: "dialog" },
        h("h2", {}, t("apiKey")),
        h("p", {}, t(wrong ? "keyWrong" : "keyNeeded")),
        input,
        h("div", { class: "row" }, button(t("goOn"), null, { kind: "main", type: "submit" }))));
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => {
      key = input.value.trim();
      sessionStorage.setItem(KEY, key);
      dialog.remove();
      resolve();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
