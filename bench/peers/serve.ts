import { createInterface } from "node:readline";

/** One evaluation of the UNet, or one decode of the VAE. */
export interface Request {
  readonly part: "unet" | "vae";
  /** Size of the picture, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly batch: number;
}

export interface Answer {
  readonly seconds: number;
  /** Peak memory, bytes. */
  readonly peakMemory?: number;
}

/** Answers requests from stdin on stdout, one JSON object a line. A request that the peer cannot do is answered with `{ cannot: why }`. */
export async function serve(
  name: string,
  answer: (request: Request) => Promise<Answer | { readonly cannot: string }>,
): Promise<void> {
  console.log(JSON.stringify({ ready: name }));
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answer(JSON.parse(line) as Request)));
  }
}
