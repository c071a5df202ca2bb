// Where pictures come from: files and the camera. What goes wrong becomes a sentence for the page.

class SourceError extends Error {}

// Browsers refuse canvases beyond this many pixels, the smallest limit (Safari's on phones); larger photos are reduced.
const MOST_PIXELS = 2 ** 24;

// A file's picture, upright (browsers do that by themselves), its levels as stored: Pillow applies no colour profile.
async function openPhoto(file) {
  try {
    return await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new SourceError(`${file.name || "This"} is not an image that this browser can read.`);
  }
}

async function openCamera(facing) {
  if (!navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) {
    throw new SourceError(
      "Browsers give the camera only to pages from https or localhost. Choose a photo, or start this page by " +
        "rnnpool web with --serve.",
    );
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: facing },
      audio: false,
    });
  } catch (error) {
    throw new SourceError(CAMERA_ERRORS[error.name] || `The camera cannot be used (${error.name}). Choose a photo.`);
  }
}

const CAMERA_ERRORS = {
  NotAllowedError: "The camera was refused. Allow it in the browser's settings of this page, or choose a photo.",
  SecurityError: "Browsers give the camera only to pages from https or localhost. Choose a photo.",
  NotFoundError: "No camera was found. Choose a photo.",
  OverconstrainedError: "No such camera was found. Choose a photo.",
  NotReadableError: "The camera is in use by another program. Close that, or choose a photo.",
  AbortError: "The camera did not start. Try again, or choose a photo.",
};

// Draws a picture onto `canvas` in its own size, transparent parts over white, and gives its RGBA.
function pixelsOf(picture, width, height, canvas) {
  const reduced = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
  canvas.width = Math.max(1, Math.floor(width * reduced));
  canvas.height = Math.max(1, Math.floor(height * reduced));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height).data;
}
