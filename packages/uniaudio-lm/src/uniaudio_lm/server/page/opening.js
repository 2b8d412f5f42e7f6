// The first thing one sees: open, drop, record, the example, and what was opened earlier.

import { getJson, request } from "./api.js";
import { t } from "./i18n.js";
import { AUDIO, Busy, button, chooseFile, clock, errorBox, h } from "./ui.js";
import { record } from "./record.js";

const EXAMPLE = "The weather was good all day, and we walked along the river to the old bridge.";

/** Buttons that lead to a recording; `take(file, text)` gets it. */
export class Opening {
  constructor(take, resume) {
    this.take = take;
    this.problem = h("div");
    this.earlier = h("div");
    this.element = h("div", { class: "opening" },
      h("div", { class: "card hero" },
        h("h1", {}, t("emptyTitle")),
        h("p", { class: "lead" }, t("emptyText")),
        h("div", { class: "row centre" },
          button(t("open"), () => this.choose(), { sign: "open", kind: "main" }),
          button(t("record"), () => this.record(), { sign: "mic" }),
          button(t("example"), () => this.example(), { sign: "spark" })),
        h("p", { class: "muted" }, t("emptyDrop")),
        this.problem),
      this.earlier);
    this.resume = resume;
  }

  async list() {
    try {
      const { data, limits } = await getJson("/v1/recordings");
      this.limits = limits;
      this.earlier.replaceChildren(...(data.length ? [h("div", { class: "card" },
        h("h2", {}, t("earlier")), h("p", { class: "muted" }, t("earlierHint")),
        h("ul", { class: "plain" }, data.map((row) => h("li", { class: "row" },
          button(row.name, () => this.resume(row.id), { kind: "quiet", "aria-label": t("goOnWith", { name: row.name }) }),
          h("span", { class: "muted time" }, `${clock(row.seconds, 0)} · ${t("stepsCount", { n: row.steps })}`)))))] : []));
    } catch (error) {
      if (error.status === 404) this.problem.replaceChildren(errorBox(new Error(t("noEdit"))));
      else this.problem.replaceChildren(errorBox(error, button(t("tryAgain"), () => { this.problem.replaceChildren(); this.list(); })));
    }
  }

  async choose() {
    const file = await chooseFile(AUDIO);
    if (file) this.take(file);
  }

  async example() {
    const stop = new AbortController();
    const busy = new Busy(t("speaking"), () => stop.abort());
    this.problem.replaceChildren(busy.element);
    try {
      const { data } = await getJson("/v1/models");
      const answer = await request("/v1/audio/speech", {
        json: { model: data[0].id, input: EXAMPLE, voice: "default", response_format: "wav" }, signal: stop.signal,
      });
      const pcm = new Uint8Array(await answer.arrayBuffer());
      this.problem.replaceChildren();
      this.take(new File([sized(pcm)], "example.wav", { type: "audio/wav" }), EXAMPLE);
    } catch (error) {
      this.problem.replaceChildren(...(error.name === "AbortError" ? [] : [errorBox(error, button(t("tryAgain"), () => this.example()))]));
    } finally {
      busy.end();
    }
  }

  async record() {
    try {
      const made = await record();
      const text = h("strong", {});
      const meter = h("meter", { min: "0", max: "1", "aria-label": t("recording", { time: "" }) });
      const timer = setInterval(() => {
        text.textContent = t("recording", { time: clock(made.seconds, 0) });
        meter.value = Math.sqrt(made.level);
      }, 100);
      const end = () => { clearInterval(timer); this.problem.replaceChildren(); };
      this.problem.replaceChildren(h("div", { class: "note row centre" }, text, meter,
        button(t("recordDone"), () => { end(); this.take(made.stop()); }, { sign: "stop", kind: "main" }),
        button(t("cancel"), () => { end(); made.cancel(); })));
    } catch (error) {
      this.problem.replaceChildren(errorBox(error));
    }
  }
}

/** A streamed wav names no length in its header: put in the one that it has. */
export function sized(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(4, bytes.byteLength - 8, true);
  view.setUint32(40, bytes.byteLength - 44, true);
  return bytes;
}
