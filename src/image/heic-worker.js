// @ts-check
// Plain JavaScript, because Node starts a worker from a file that it can run as it is.
import { createRequire } from "node:module";
import { parentPort, workerData } from "node:worker_threads";

/** @type {{ library: string, bytes: Uint8Array }} */
const { library, bytes } = workerData;
const { HeifDecoder } = createRequire(import.meta.url)(library);

const images = new HeifDecoder().decode(bytes);
const image = images.find((/** @type {any} */ each) => each.is_primary()) ?? images[0];
if (image === undefined) throw new Error("it holds no picture that can be decoded");
const [width, height] = [image.get_width(), image.get_height()];
const rgba = await new Promise((resolve, reject) =>
  image.display({ data: new Uint8ClampedArray(width * height * 4), width, height }, (/** @type {any} */ shown) =>
    shown === null ? reject(new Error("its pixels cannot be decoded")) : resolve(shown.data),
  ),
);
const data = new Uint8Array(width * height * 3);
for (let i = 0, j = 0; i < data.length; i += 3, j += 4) {
  data[i] = rgba[j];
  data[i + 1] = rgba[j + 1];
  data[i + 2] = rgba[j + 2];
}
parentPort?.postMessage({ width, height, data }, [data.buffer]);
