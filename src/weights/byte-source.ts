import { UserError } from "../core/errors.ts";

/** Bytes that are read by range: a file, a block of memory, or whatever a browser reads from. */
export interface ByteSource {
  /** Names it in messages and tells it from other sources: the absolute path of a file. */
  readonly id: string;
  readonly size: number;
  /** When the content was changed last, in milliseconds, where that is known: another time tells of another content. */
  readonly modified?: number | undefined;
  /**
   * @returns bytes that are the caller's own, in a buffer of their own
   * @throws UserError file/truncated if the range goes beyond the end
   */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** A source whose bytes are in memory already. */
export const memorySource = (id: string, bytes: Uint8Array): ByteSource => ({
  id,
  size: bytes.length,
  read: async (offset, length) => {
    if (offset + length > bytes.length) throw truncated(id, bytes.length, offset, length);
    return bytes.slice(offset, offset + length);
  },
});

/** A source that ends before a range does. @param end bytes that it has */
export const truncated = (id: string, end: number, offset: number, length: number): UserError =>
  new UserError(
    "file/truncated",
    `${id} ends after ${end} bytes; bytes ${offset} to ${offset + length} are needed.`,
    "The file is incomplete: download or copy it again.",
  );
