// The picture with its faces, and what the network saw of it.

const LARGEST_STAGE = 1600; // pixels; more would only take time to draw

// Draws `frame` (a canvas) and boxes in its pixels onto `stage`; `mirrored` as a mirror shows it, its writing too.
function drawFaces(stage, frame, faces, mirrored) {
  const zoom = Math.min(1, LARGEST_STAGE / Math.max(frame.width, frame.height));
  stage.width = Math.max(1, Math.round(frame.width * zoom));
  stage.height = Math.max(1, Math.round(frame.height * zoom));
  const context = stage.getContext("2d");
  if (mirrored) {
    context.setTransform(-1, 0, 0, 1, stage.width, 0);
  }
  context.drawImage(frame, 0, 0, stage.width, stage.height);
  context.setTransform(1, 0, 0, 1, 0, 0);
  const point = Math.max(stage.width / stage.clientWidth, stage.height / stage.clientHeight); // a CSS pixel
  for (const face of faces) {
    const left = mirrored ? frame.width - face.x - face.width : face.x;
    drawBox(context, left * zoom, face.y * zoom, face.width * zoom, face.height * zoom, face.score, point);
  }
}

function drawBox(context, x, y, width, height, score, point) {
  context.lineJoin = "round";
  for (const [style, thickness] of [
    ["rgba(0, 0, 0, 0.55)", 5],
    ["#ffd60a", 2.5],
  ]) {
    context.strokeStyle = style; // dark below bright, to be seen on any photo
    context.lineWidth = thickness * point;
    context.strokeRect(x, y, width, height);
  }
  context.font = `600 ${13 * point}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const text = score.toFixed(2);
  const label = { width: context.measureText(text).width + 10 * point, height: 20 * point };
  const right = context.canvas.width - label.width;
  const left = Math.max(0, Math.min(x - 1.25 * point, right));
  const top = y >= label.height ? y - label.height : y;
  context.fillStyle = "#ffd60a";
  context.fillRect(left, top, label.width, label.height);
  context.fillStyle = "#1c1c1e";
  context.fillText(text, left + 5 * point, top + label.height / 2 + point / 2);
}

// Draws the bytes (H, W, C) that the network was given.
function drawInput(canvas, pixels, network) {
  canvas.width = network.width;
  canvas.height = network.height;
  const context = canvas.getContext("2d");
  const shown = context.createImageData(network.width, network.height);
  for (let i = 0, place = 0; place < shown.data.length; place += 4, i += network.channels) {
    for (let channel = 0; channel < 3; channel++) {
      shown.data[place + channel] = pixels[i + (network.channels === 1 ? 0 : channel)];
    }
    shown.data[place + 3] = 255;
  }
  context.putImageData(shown, 0, 0);
}
