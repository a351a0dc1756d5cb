import type { ByteSource } from "../../weights/byte-source.ts";

/** A field of a protobuf message: its number, and where its content is. Numbers (varints) have their value instead. */
export interface MessageField {
  readonly number: number;
  readonly at: number;
  readonly length: number;
  readonly value?: number;
}

/** A message that cannot be read. */
export class NotAMessage extends Error {}

const WINDOW = 1 << 16; // bytes read at once

/** Reads the fields of protobuf messages in a file, without their content. @see https://protobuf.dev/programming-guides/encoding */
export class MessageReader {
  readonly #file: ByteSource;
  #window: Uint8Array = new Uint8Array();
  #from = 0;

  constructor(file: ByteSource) {
    this.#file = file;
  }

  /**
   * Fields of the message in a range of bytes.
   * @throws NotAMessage if the range holds anything else
   */
  async *fields(start: number, end: number): AsyncGenerator<MessageField> {
    for (let at = start; at < end; ) {
      const [tag, content] = await this.#varint(at, end);
      const number = Math.floor(tag / 8);
      if (number === 0) throw new NotAMessage(`field 0 at byte ${at}`);
      switch (tag % 8) {
        case 0: {
          const [value, after] = await this.#varint(content, end);
          yield { number, at: content, length: after - content, value };
          at = after;
          break;
        }
        case 2: {
          const [length, first] = await this.#varint(content, end);
          if (first + length > end) throw new NotAMessage(`a field of ${length} bytes at byte ${at} reaches beyond the end`);
          yield { number, at: first, length };
          at = first + length;
          break;
        }
        case 1:
        case 5: {
          const length = tag % 8 === 1 ? 8 : 4;
          if (content + length > end) throw new NotAMessage(`the field at byte ${at} is cut off`);
          yield { number, at: content, length };
          at = content + length;
          break;
        }
        default:
          throw new NotAMessage(`an unknown kind of field at byte ${at}`);
      }
    }
  }

  /** @returns the number, and the place after it; numbers of more than 53 bits lose their last bits */
  async #varint(at: number, end: number): Promise<[number, number]> {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      if (at + i >= end) throw new NotAMessage(`a number at byte ${at} is cut off`);
      const byte = await this.#byte(at + i);
      value += (byte & 127) * 2 ** (7 * i);
      if (byte < 128) return [value, at + i + 1];
    }
    throw new NotAMessage(`a number at byte ${at} has no end`);
  }

  async #byte(at: number): Promise<number> {
    if (at < this.#from || at >= this.#from + this.#window.length) {
      this.#from = at;
      this.#window = await this.#file.read(at, Math.min(WINDOW, this.#file.size - at));
    }
    return this.#window[at - this.#from]!;
  }
}
