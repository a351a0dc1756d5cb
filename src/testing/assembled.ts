import wabt from "wabt";

/** Assembles WebAssembly text. */
export async function assembled(source: string): Promise<Uint8Array> {
  return (await wabt()).parseWat("kernels.wat", source, { simd: true, threads: true }).toBinary({}).buffer;
}
