// In the audio thread: pass the samples of the first channel on.

class Recorder extends AudioWorkletProcessor {
  process(inputs) {
    if (inputs[0][0]) this.port.postMessage(inputs[0][0].slice());
    return true;
  }
}

registerProcessor("recorder", Recorder);
