// The page: buttons, the camera's loop, and what is shown of each picture.

function start() {
  const element = (id) => document.getElementById(id);
  const frame = document.createElement("canvas"); // the picture in its own size
  const video = document.createElement("video");
  video.muted = video.playsInline = true;

  let run = null; // of `loadNetwork`
  let seen = null; // {pixels, scale, mirrored} of the picture that is shown
  let stream = null;
  let facing = "user";
  let opening = 0; // counts what was asked for, so that a picture that opens late does not replace a later one
  let times = { network: null, between: null, last: null };

  const threshold = () => (element("threshold") ? Number(element("threshold").value) : 0);

  function tell(sentence) {
    element("error").textContent = sentence;
    element("error").hidden = !sentence;
  }

  // Of a camera's frames a mean that forgets, since single ones jump.
  function smooth(mean, value) {
    return mean === null || !stream ? value : 0.9 * mean + 0.1 * value;
  }

  // Runs the network on what is seen, and shows what comes of it.
  function show() {
    if (!run || !seen) {
      return;
    }
    const begin = performance.now();
    const numbers = run(seen.pixels, threshold());
    times.network = smooth(times.network, performance.now() - begin);
    if (NETWORK.kind === "detections") {
      const faces = toFaces(numbers, NETWORK, seen.scale, frame.width, frame.height);
      drawFaces(element("stage"), frame, faces, seen.mirrored);
      showFaces(faces);
    } else {
      drawFaces(element("stage"), frame, [], seen.mirrored);
      showClasses(toClasses(numbers, NETWORK));
    }
    if (element("seen").open) {
      drawInput(element("input"), seen.pixels, NETWORK);
    }
    element("time").textContent = `${times.network.toFixed(1)} ms`;
    element("rate").textContent = times.between === null ? "–" : (1000 / times.between).toFixed(1);
    element("drop").classList.add("filled");
  }

  function look(picture, width, height) {
    const rgba = pixelsOf(picture, width, height, frame);
    seen = viewOf(rgba, frame.width, frame.height, NETWORK);
    seen.mirrored = stream !== null && facing === "user"; // as people know themselves; the network sees what is so
    show();
  }

  function showFaces(faces) {
    const summary = faces.length === 0 ? "No face" : faces.length === 1 ? "1 face" : `${faces.length} faces`;
    summarise(summary);
    const rows = faces.map((face) => {
      const row = document.createElement("tr");
      const numbers = [face.x, face.y, face.width, face.height].map((number) => String(Math.round(number)));
      for (const text of [face.score.toFixed(2), ...numbers]) {
        row.insertCell().textContent = text;
      }
      return row;
    });
    element("faces").tBodies[0].replaceChildren(...rows);
    element("faces").hidden = faces.length === 0;
  }

  function showClasses(classes) {
    summarise(`${classes[0].label.replaceAll("_", " ")}, ${Math.round(100 * classes[0].probability)}%`);
    const bars = classes.slice(0, NETWORK.shownClasses).map(({ label, probability }) => {
      const bar = document.createElement("li");
      const name = document.createElement("span");
      const share = document.createElement("span");
      const meter = document.createElement("div");
      name.textContent = label.replaceAll("_", " ");
      share.textContent = `${(100 * probability).toFixed(1)}%`;
      meter.className = "meter";
      meter.style.setProperty("--share", `${100 * probability}%`);
      bar.append(name, share, meter);
      return bar;
    });
    element("classes").replaceChildren(...bars);
  }

  // A screen reader speaks it when it changes, so it is left alone while it stays the same.
  function summarise(summary) {
    if (element("summary").textContent !== summary) {
      element("summary").textContent = summary;
      element("stage").setAttribute("aria-label", `The picture: ${summary}`);
    }
  }

  function stopCamera() {
    if (stream) {
      stream.getTracks().forEach((track) => track.stop());
    }
    stream = null;
    video.srcObject = null;
    element("camera").textContent = "Use the camera";
    element("flip").hidden = true;
    times = { network: null, between: null, last: null };
  }

  async function startCamera() {
    const mine = ++opening;
    stopCamera();
    tell("");
    try {
      const opened = await openCamera(facing);
      if (mine !== opening) {
        opened.getTracks().forEach((track) => track.stop());
        return;
      }
      stream = opened;
      stream.getVideoTracks()[0].addEventListener("ended", () => {
        stopCamera();
        tell("The camera was taken away.");
      });
      video.srcObject = stream;
      await video.play();
      element("camera").textContent = "Stop the camera";
      const devices = await navigator.mediaDevices.enumerateDevices();
      element("flip").hidden = devices.filter((device) => device.kind === "videoinput").length < 2;
      nextFrame(mine);
    } catch (error) {
      if (mine === opening) {
        stopCamera();
        tell(error instanceof SourceError ? error.message : `The camera cannot be shown (${error.name}).`);
      }
    }
  }

  function nextFrame(mine) {
    const take = () => {
      if (!stream || mine !== opening) {
        return;
      }
      const now = performance.now();
      if (times.last !== null) {
        times.between = smooth(times.between, now - times.last);
      }
      times.last = now;
      if (video.videoWidth > 0) {
        look(video, video.videoWidth, video.videoHeight);
      }
      nextFrame(mine);
    };
    if (video.requestVideoFrameCallback) {
      video.requestVideoFrameCallback(take);
    } else {
      requestAnimationFrame(take);
    }
  }

  async function showPhoto(file) {
    const mine = ++opening;
    stopCamera();
    tell("");
    try {
      const picture = await openPhoto(file);
      if (mine === opening) {
        look(picture, picture.width, picture.height);
      }
      picture.close();
    } catch (error) {
      if (mine === opening) {
        tell(error instanceof SourceError ? error.message : `The photo cannot be shown (${error.message}).`);
      }
    }
  }

  function takeFiles(files) {
    if (files.length > 0) {
      showPhoto(files[0]);
    }
  }

  element("camera").addEventListener("click", () => {
    if (stream) {
      opening++;
      stopCamera();
    } else {
      startCamera();
    }
  });
  element("flip").addEventListener("click", () => {
    facing = facing === "user" ? "environment" : "user";
    startCamera();
  });
  element("photo").addEventListener("change", (event) => {
    takeFiles(event.target.files);
    event.target.value = ""; // the same file may be chosen again
  });
  element("seen").addEventListener("toggle", show);
  if (element("threshold")) {
    element("threshold").addEventListener("input", () => {
      element("threshold-value").textContent = threshold().toFixed(2);
      show();
    });
  }
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault(); // a browser would leave the page and open the file
      element("drop").classList.toggle("over", name === "dragenter" || name === "dragover");
      if (name === "drop") {
        if (event.dataTransfer.files.length > 0) {
          takeFiles(event.dataTransfer.files);
        } else {
          tell("That is not a file. Drop a photo from a folder, or choose one.");
        }
      }
    });
  }
  document.addEventListener("paste", (event) => takeFiles(event.clipboardData.files));

  loadNetwork(NETWORK)
    .then((loaded) => {
      const numbers = checkNetwork(loaded, NETWORK);
      element("check").textContent =
        `Compared in this browser just now: ${numbers.toLocaleString("en")} numbers of ` +
        `${NETWORK.check.length} test images equal the simulator's.`;
      run = loaded;
      document.body.dataset.ready = "yes";
      show();
    })
    .catch((error) => {
      tell(
        error instanceof WebAssembly.CompileError
          ? "This browser's WebAssembly has no SIMD, which the network needs: Chrome 91, Firefox 89 or Safari 16.4 have it."
          : `The network does not run here: ${error.message}.`,
      );
    });
}

if (typeof document !== "undefined") {
  start(); // the script is deferred: the page is there
}
