import { expect, test } from "vitest";
import { makePickle } from "../testing/made-files.ts";
import { type PickleRules, unpickle } from "./pickle.ts";

const rules: PickleRules = {
  file: "x.bin",
  names: new Map([
    ["collections.OrderedDict", { name: "collections.OrderedDict", make: () => new Map() }],
    ["torch.float16", { name: "torch.float16" }],
  ]),
  persistent: (id) => ({ id }),
};
const read = (...parts: Parameters<typeof makePickle>) => unpickle(makePickle(...parts), rules).value;

test("values and containers of every spelling", () => {
  // pickle.dumps of the same value at protocols 0, 2 and 4, by CPython 3.11
  const value = new Map<unknown, unknown>([
    ["a", [1, 300, 70000, -1, 2 ** 40, true, null, 0.5]],
    ["b", [[1], [], "é"]],
  ]);
  const zero =
    "(dp0\nVa\np1\n(lp2\nI1\naI300\naI70000\naI-1\naL1099511627776L\naI01\naNaF0.5\nasVb\np3\n((lp4\nI1\na(tV\xc3\xa9\np5\ntp6\ns.";
  expect(read(zero)).toEqual(value);
  const two =
    "\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01M,\x01Jp\x11\x01\x00J\xff\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01\x88NG?\xe0\x00\x00\x00\x00\x00\x00eX\x01\x00\x00\x00bq\x03]q\x04K\x01a)X\x02\x00\x00\x00\xc3\xa9q\x05\x87q\x06u.";
  expect(read(two)).toEqual(value);
  const four =
    "\x80\x04\x95=\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01M,\x01Jp\x11\x01\x00J\xff\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01\x88NG?\xe0\x00\x00\x00\x00\x00\x00e\x8c\x01b\x94]\x94K\x01a)\x8c\x02\xc3\xa9\x94\x87\x94u.";
  expect(read(four)).toEqual(value);
  expect(read("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.")).toBe(2n ** 64n);
});

test("objects of allowed names are made by our own code, and their state is dropped", () => {
  const dict = read("ccollections\nOrderedDict\n)R(", { text: "w" }, "K\x07u}(", { text: "_metadata" }, "K\x01ub.");
  expect(dict).toEqual(new Map([["w", 7]]));
  expect(read({ text: "collections" }, { text: "OrderedDict" }, "\x93)\x81.")).toEqual(new Map());
});

test.each([
  ["os.system", ["cos\nsystem\n(", { text: "touch /tmp/x" }, "tR."]],
  ["posix.system", [{ text: "posix" }, { text: "system" }, "\x93(", { text: "id" }, "tR."]],
  ["builtins.eval", ["(", { text: "1" }, "ibuiltins\neval\n."]],
  ["builtins.getattr", ["cbuiltins\ngetattr\n."]],
  ["torch.float16 as a function", ["ctorch\nfloat16\n)R."]],
  ["a value as a function", ["K\x01)R."]],
  ["the opcode OBJ", ["(K\x01o."]],
  ["the opcode EXT1", ["\x82\x01."]],
  ["the opcode NEWOBJ_EX", ["ccollections\nOrderedDict\n)}\x92."]],
  ["collections.OrderedDict.__init__", [{ text: "collections" }, { text: "OrderedDict.__init__" }, "\x93."]],
  ["state of an object that is not a dictionary", ["]}b."]],
])("refuses %s by name", (name, parts) => {
  expect(() => read(...(parts as string[]))).toThrow(expect.objectContaining({ code: "pickle/refused" }));
  expect(() => read(...(parts as string[]))).toThrow(name);
});

test.each([
  ["no end", ["K\x01"]],
  ["a text beyond the end", ["X\xff\xff\xff\x7fa."]],
  ["a text of 2^63 bytes", ["\x8d\xff\xff\xff\xff\xff\xff\xff\xffa."]],
  ["a negative length", ["T\xff\xff\xff\xffa."]],
  ["an empty stack", ["."]],
  ["a value taken from before the mark", ["K\x01(0a."]],
  ["no mark", ["K\x01t."]],
  ["a memo that was never stored", ["h\x05."]],
  ["an item without a value", ["}(K\x01u."]],
  ["an item of a list", ["](K\x01K\x02u."]],
  ["a newer protocol", ["\x80\x09."]],
  ["an unknown opcode", ["\xf0."]],
  ["a malformed number", ["Ix1\n."]],
  ["a line without end", ["Vabc"]],
])("refuses %s as corrupt", (_, parts) => {
  expect(() => read(...parts)).toThrow(expect.objectContaining({ code: "pickle/corrupt" }));
});
