// The WebAssembly module: bytes in, detections or class scores out, and the comparison with the simulator.

function decodeBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// Instantiates `network.wasm` -> run(pixels, threshold): pixels uint8 (H, W, C), threshold 0..1; gives the numbers of
// the results, (n, 5) x1 y1 x2 y2 score of detections, as rnp_detection has them, or the stored scores.
async function loadNetwork(network) {
  const { instance } = await WebAssembly.instantiate(decodeBase64(network.wasm));
  const { memory, image, results, run } = instance.exports;
  return (pixels, threshold) => {
    new Uint8Array(memory.buffer, image(), pixels.length).set(pixels);
    const count = run(roundHalfEven(threshold * network.scoreUnit));
    if (count < 0) {
      throw new Error(`the network returned error ${count}`);
    }
    return network.kind === "detections"
      ? readDetections(new DataView(memory.buffer, results()), count)
      : new Int16Array(memory.buffer, results(), network.classes.length).slice();
  };
}

function readDetections(memory, count) {
  const numbers = new Int32Array(5 * count);
  for (let i = 0; i < count; i++) {
    for (let side = 0; side < 4; side++) {
      numbers[5 * i + side] = memory.getInt16(12 * i + 2 * side, true);
    }
    numbers[5 * i + 4] = memory.getUint16(12 * i + 8, true);
  }
  return numbers;
}

// Detections as boxes in pixels of the photo, `width` x `height`, cut at its border; `scale` as `fit` gives it.
function toFaces(numbers, network, scale, width, height) {
  const pixel = network.pixelUnit * scale;
  const faces = [];
  for (let i = 0; i < numbers.length; i += 5) {
    const [x1, x2] = [numbers[i], numbers[i + 2]].map((x) => Math.min(Math.max(x / pixel, 0), width));
    const [y1, y2] = [numbers[i + 1], numbers[i + 3]].map((y) => Math.min(Math.max(y / pixel, 0), height));
    if (x2 > x1 && y2 > y1) {
      faces.push({ x: x1, y: y1, width: x2 - x1, height: y2 - y1, score: numbers[i + 4] / network.scoreUnit });
    }
  }
  return faces;
}

// Stored scores -> [{label, probability}], likeliest first.
function toClasses(stored, network) {
  const real = Array.from(stored, (score, i) => score * network.scales[i]);
  const most = Math.max(...real);
  const powers = real.map((score) => Math.exp(score - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return network.classes
    .map((label, i) => ({ label, probability: powers[i] / sum }))
    .sort((a, b) => b.probability - a.probability);
}

// web/self_check.py makes the same images.
function checkImage(length, seed) {
  const pixels = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    let x = (i + Math.imul(seed, 0x9e3779b1)) | 0;
    x = Math.imul(x ^ (x >>> 15), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 15), 0xc2b2ae35);
    pixels[i] = x >>> 24;
  }
  return pixels;
}

// Runs the check images: how many numbers equal the simulator's, or an Error that says which does not.
function checkNetwork(run, network) {
  let numbers = 0;
  network.check.forEach((wanted, seed) => {
    const found = run(checkImage(network.width * network.height * network.channels, seed), 0);
    const wrong = wanted.findIndex((number, i) => number !== found[i]);
    if (wrong >= 0 || found.length !== wanted.length) {
      throw new Error(`number ${wrong < 0 ? wanted.length : wrong} of test image ${seed} is not the simulator's`);
    }
    numbers += wanted.length;
  });
  return numbers;
}
