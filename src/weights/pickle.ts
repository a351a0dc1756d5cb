import { UserError } from "../core/errors.ts";

/** A name that a pickle may use. `make` is our own code for calling it; without `make` the name is only a value. */
export interface PickleName {
  readonly name: string;
  readonly make?: (args: readonly unknown[]) => unknown;
}

export interface PickleRules {
  /** Path shown in errors */
  readonly file: string;
  /** Allowed names, as `module.name` */
  readonly names: ReadonlyMap<string, PickleName>;
  /** Returns the value of a persistent id. */
  readonly persistent: (id: unknown) => unknown;
  /** Takes what is needed of a state set on a dictionary; it is dropped without this. */
  readonly setState?: (dictionary: Map<unknown, unknown>, state: unknown) => void;
}

const AGAIN = "The file is incomplete or damaged: download or copy it again.";

/**
 * Reads one pickle by the opcodes of protocols 0 to 5 that torch writes. Nothing is imported, and nothing that the
 * pickle names is called: it can only choose among our own makers. A dict becomes a Map, a list or tuple
 * an array, a long beyond 2^53 a bigint. State set on an OrderedDict (`_metadata`) is dropped.
 *
 * @returns the value, and where the pickle ends
 * @throws UserError pickle/refused for any other name or way of calling, naming it; pickle/corrupt
 * @see CPython Lib/pickletools.py
 */
export function unpickle(bytes: Uint8Array, rules: PickleRules, start = 0): { value: unknown; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const memo = new Map<number, unknown>();
  const marks: number[] = [];
  const stack: unknown[] = [];
  let at = start;

  const corrupt = (problem: string): never => {
    throw new UserError("pickle/corrupt", `${rules.file}: its pickle ${problem} at byte ${at}.`, AGAIN);
  };
  const refuse = (what: string): never => {
    throw new UserError(
      "pickle/refused",
      `${rules.file}: its pickle wants to use ${what}, which weights do not need. Nothing of it was run.`,
      "Do not load this file in PyTorch either unless you trust its author. If you do, save its weights as safetensors.",
    );
  };
  const take = (count: number): number => {
    const from = at;
    if (count < 0 || from + count > bytes.length) corrupt("ends too early");
    at += count;
    return from;
  };
  const pop = (): unknown => (stack.length > (marks.at(-1) ?? 0) ? stack.pop() : corrupt("takes a value that is not there"));
  const top = (): unknown => (stack.length > (marks.at(-1) ?? 0) ? stack.at(-1) : corrupt("needs a value that is not there"));
  const sinceMark = (): unknown[] => stack.splice(marks.pop() ?? corrupt("has no mark"));
  const last = (count: number): unknown[] => Array.from({ length: count }, pop).reverse();
  const u8 = () => view.getUint8(take(1));
  const u16 = () => view.getUint16(take(2), true);
  const i32 = () => view.getInt32(take(4), true);
  const u32 = () => view.getUint32(take(4), true);
  const u64 = () => Number(view.getBigUint64(take(8), true)); // beyond 2^53 is beyond the end as well
  const raw = (length: number) => bytes.slice(take(length), at);
  const text = (length: number) => utf8.decode(bytes.subarray(take(length), at));
  const latin = (length: number) => Buffer.from(bytes.subarray(take(length), at)).toString("latin1");
  const line = () => {
    const end = bytes.indexOf(10, at);
    const from = end < 0 ? corrupt("has a line without end") : take(end - at + 1);
    return utf8.decode(bytes.subarray(from, at - 1));
  };
  const recall = (key: number) => (memo.has(key) ? memo.get(key) : corrupt(`recalls ${key}, which it never stored,`));
  const find = (module: unknown, name: unknown) => rules.names.get(`${module}.${name}`) ?? refuse(`${module}.${name}`);
  const make = (what: unknown, args: unknown) => {
    if (!Array.isArray(args)) return corrupt("calls without arguments");
    return isName(what) && what.make
      ? what.make(args)
      : refuse(isName(what) ? `${what.name} as a function` : "a value as a function");
  };
  const append = (values: unknown[]) => {
    const list = top();
    if (!Array.isArray(list)) return corrupt("appends to something that is not a list");
    for (const value of values) list.push(value);
  };
  const setItems = (values: unknown[]) => {
    const dict = top();
    if (!(dict instanceof Map) || values.length % 2 !== 0) return corrupt("sets items of something that is not a dictionary");
    for (let i = 0; i < values.length; i += 2) dict.set(values[i], values[i + 1]);
  };
  const dictOf = (values: unknown[]) => {
    stack.push(new Map());
    setItems(values);
  };
  const build = () => {
    const state = pop();
    const dictionary = top();
    if (!(dictionary instanceof Map)) return void refuse("state of an object that is not a dictionary");
    rules.setState?.(dictionary, state);
  };
  const decimal = (digits: string) =>
    /^[+-]?\d{1,400}L?$/.test(digits) ? narrow(BigInt(digits.replace("L", ""))) : corrupt("has a bad number");

  for (;;) {
    const code = String.fromCharCode(u8());
    switch (code) {
      case ".":
        return { value: pop(), end: at };
      case "\x80": {
        const protocol = u8();
        if (protocol > 5) corrupt(`has protocol ${protocol}, newer than 5,`);
        break;
      }
      case "\x95": // FRAME
        take(8);
        break;
      case "(":
        marks.push(stack.length);
        break;
      case "0":
        if (marks.at(-1) === stack.length) marks.pop();
        else pop();
        break;
      case "1":
        sinceMark();
        break;
      case "2":
        stack.push(top());
        break;
      case "N":
        stack.push(null);
        break;
      case "\x88":
        stack.push(true);
        break;
      case "\x89":
        stack.push(false);
        break;
      case "I": {
        const digits = line();
        stack.push(digits === "01" ? true : digits === "00" ? false : decimal(digits));
        break;
      }
      case "L":
        stack.push(decimal(line()));
        break;
      case "J":
        stack.push(i32());
        break;
      case "K":
        stack.push(u8());
        break;
      case "M":
        stack.push(u16());
        break;
      case "\x8a": // LONG1
        stack.push(littleEndian(raw(u8())));
        break;
      case "\x8b": {
        const length = i32(); // LONG4
        if (length > 1024) corrupt("has an implausibly long number");
        stack.push(littleEndian(raw(length)));
        break;
      }
      case "F":
        stack.push(Number(line()));
        break;
      case "G":
        stack.push(view.getFloat64(take(8)));
        break;
      case "S":
        stack.push(line().replace(/^(['"])(.*)\1$/s, "$2"));
        break;
      case "V":
        stack.push(line());
        break;
      case "T":
        stack.push(latin(i32()));
        break;
      case "U":
        stack.push(latin(u8()));
        break;
      case "X":
        stack.push(text(u32()));
        break;
      case "\x8c":
        stack.push(text(u8()));
        break;
      case "\x8d":
        stack.push(text(u64()));
        break;
      case "B":
        stack.push(raw(u32()));
        break;
      case "C":
        stack.push(raw(u8()));
        break;
      case "\x8e": // BINBYTES8
      case "\x96": // BYTEARRAY8
        stack.push(raw(u64()));
        break;
      case "]":
        stack.push([]);
        break;
      case "a":
        append([pop()]);
        break;
      case "e":
        append(sinceMark());
        break;
      case "l":
      case "t":
        stack.push(sinceMark());
        break;
      case ")":
        stack.push([]);
        break;
      case "\x85":
      case "\x86":
      case "\x87":
        stack.push(last(code.charCodeAt(0) - 0x84));
        break;
      case "}":
        stack.push(new Map());
        break;
      case "d":
        dictOf(sinceMark());
        break;
      case "s":
        setItems(last(2));
        break;
      case "u":
        setItems(sinceMark());
        break;
      case "g":
        stack.push(recall(Number(line())));
        break;
      case "h":
        stack.push(recall(u8()));
        break;
      case "j":
        stack.push(recall(u32()));
        break;
      case "p":
        memo.set(Number(line()), top());
        break;
      case "q":
        memo.set(u8(), top());
        break;
      case "r":
        memo.set(u32(), top());
        break;
      case "\x94":
        memo.set(memo.size, top());
        break;
      case "Q":
        stack.push(rules.persistent(pop()));
        break;
      case "c":
        stack.push(find(line(), line()));
        break;
      case "\x93": {
        const [module, name] = last(2);
        stack.push(find(module, name));
        break;
      }
      case "R":
      case "\x81": {
        const [what, args] = last(2); // REDUCE, NEWOBJ
        stack.push(make(what, args));
        break;
      }
      case "b":
        build();
        break;
      case "i":
        refuse(`${line()}.${line()}`);
        break;
      default: {
        const name = REFUSED[code];
        if (name !== undefined) refuse(`the opcode ${name}`);
        corrupt(`has the unknown opcode 0x${code.charCodeAt(0).toString(16)}`);
      }
    }
  }
}

/** Opcodes that create objects in ways that weights never need. */
const REFUSED: Readonly<Record<string, string>> = {
  P: "PERSID",
  o: "OBJ",
  "\x92": "NEWOBJ_EX",
  "\x82": "EXT1",
  "\x83": "EXT2",
  "\x84": "EXT4",
  "\x8f": "EMPTY_SET",
  "\x90": "ADDITEMS",
  "\x91": "FROZENSET",
  "\x97": "NEXT_BUFFER",
  "\x98": "READONLY_BUFFER",
};

const utf8 = new TextDecoder();

const isName = (value: unknown): value is PickleName => typeof value === "object" && value !== null && "name" in value;

/** Integer from two's complement bytes of any length. */
function littleEndian(bytes: Uint8Array): number | bigint {
  let value = 0n;
  for (const byte of bytes.toReversed()) value = (value << 8n) | BigInt(byte);
  return narrow(BigInt.asIntN(bytes.length * 8, value));
}

const narrow = (value: bigint): number | bigint =>
  value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
