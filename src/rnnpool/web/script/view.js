// From a photo to the bytes that the network sees, as rnnpool firmware prepares them: a detector's photo is scaled to
// fit and laid on grey, in the upper left corner; of a classifier's the middle is taken.

const GREY = 128;

// Python's round: halves go to the even neighbour.
function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

// RGBA of a canvas -> grey by Pillow's weights (ITU-R 601), or RGB.
function withChannels(rgba, width, height, channels) {
  const pixels = new Uint8Array(width * height * channels);
  for (let i = 0, place = 0; i < rgba.length; i += 4) {
    if (channels === 1) {
      pixels[place++] = (rgba[i] * 19595 + rgba[i + 1] * 38470 + rgba[i + 2] * 7471 + 0x8000) >> 16;
    } else {
      pixels[place++] = rgba[i];
      pixels[place++] = rgba[i + 1];
      pixels[place++] = rgba[i + 2];
    }
  }
  return { width, height, channels, pixels };
}

// The image scaled to fit `width` x `height`: {pixels, scale}, scale from its pixels to the network's.
function fit(image, width, height) {
  const scale = Math.min(width / image.width, height / image.height);
  const across = Math.max(1, roundHalfEven(image.width * scale));
  const down = Math.max(1, roundHalfEven(image.height * scale));
  const whole = { left: 0, top: 0, width: across, height: down };
  const small = resample(image, across, down, scale < 1 ? BOX : TRIANGLE, whole);
  const pixels = new Uint8Array(width * height * image.channels).fill(GREY);
  const row = across * image.channels;
  for (let y = 0; y < down; y++) {
    pixels.set(small.pixels.subarray(y * row, (y + 1) * row), y * width * image.channels);
  }
  return { pixels, scale };
}

// The middle of the image, resized until `width` x `height` covers the share `crop` of it: {pixels}.
function centreCrop(image, width, height, crop) {
  let across, down;
  if (height * image.width >= width * image.height) {
    down = roundHalfEven(height / crop);
    across = Math.max(width, Math.floor((down * image.width) / image.height));
  } else {
    across = roundHalfEven(width / crop);
    down = Math.max(height, Math.floor((across * image.height) / image.width));
  }
  const window = { left: roundHalfEven((across - width) / 2), top: roundHalfEven((down - height) / 2), width, height };
  return { pixels: resample(image, across, down, TRIANGLE, window).pixels };
}

// What `network` (NETWORK of the page) sees of a canvas's RGBA.
function viewOf(rgba, width, height, network) {
  const image = withChannels(rgba, width, height, network.channels);
  return network.crop === null
    ? fit(image, network.width, network.height)
    : centreCrop(image, network.width, network.height, network.crop);
}
