// Pillow's resampling of 8-bit pixels, bit for bit (its src/libImaging/Resample.c), so that a page sees what the command
// line sees: a canvas would shrink an image by a filter of its own, which differs from browser to browser.

const BOX = { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };
const TRIANGLE = { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) };
const WEIGHT_BITS = 22;

// Of `count` results from `first` on, out of `outputs` that `inputs` pixels become along an axis: where each begins to
// read, and the weights of what it reads, in 22 bits.
function weightsAlong(inputs, outputs, first, count, filter) {
  const scale = inputs / outputs;
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  return Array.from({ length: count }, (_, i) => {
    const centre = (first + i + 0.5) * scale;
    const begin = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(inputs, Math.trunc(centre + support + 0.5));
    const real = new Float64Array(end - begin);
    let sum = 0;
    for (let k = 0; k < real.length; k++) {
      real[k] = filter.weight((begin + k - centre + 0.5) / stretch);
      sum += real[k];
    }
    return { begin, weights: Int32Array.from(real, (w) => Math.trunc(0.5 + (w / sum) * (1 << WEIGHT_BITS))) };
  });
}

// The window {left, top, width, height} of `image` resized to `outWidth` x `outHeight`. An image here is
// {width, height, channels, pixels}, its pixels a Uint8Array (height, width, channels).
function resample(image, outWidth, outHeight, filter, window) {
  const across = weightsAlong(image.width, outWidth, window.left, window.width, filter);
  const down = weightsAlong(image.height, outHeight, window.top, window.height, filter);
  const narrow = outWidth === image.width && window.width === outWidth ? image : resampleAcross(image, across);
  return outHeight === image.height && window.height === outHeight ? narrow : resampleDown(narrow, down);
}

function resampleAcross(image, taps) {
  const { width, height, channels, pixels } = image;
  const out = new Uint8ClampedArray(taps.length * height * channels);
  let place = 0;
  for (let y = 0; y < height; y++) {
    for (const { begin, weights } of taps) {
      const from = (y * width + begin) * channels;
      for (let channel = 0; channel < channels; channel++) {
        let sum = 1 << (WEIGHT_BITS - 1);
        for (let k = 0; k < weights.length; k++) {
          sum += pixels[from + k * channels + channel] * weights[k];
        }
        out[place++] = sum >> WEIGHT_BITS;
      }
    }
  }
  return { width: taps.length, height, channels, pixels: out };
}

function resampleDown(image, taps) {
  const { width, channels, pixels } = image;
  const row = width * channels;
  const out = new Uint8ClampedArray(taps.length * row);
  const sums = new Int32Array(row);
  taps.forEach(({ begin, weights }, y) => {
    sums.fill(1 << (WEIGHT_BITS - 1));
    for (let k = 0; k < weights.length; k++) {
      const from = (begin + k) * row;
      const weight = weights[k];
      for (let i = 0; i < row; i++) {
        sums[i] += pixels[from + i] * weight;
      }
    }
    for (let i = 0; i < row; i++) {
      out[y * row + i] = sums[i] >> WEIGHT_BITS;
    }
  });
  return { width, height: taps.length, channels, pixels: out };
}
