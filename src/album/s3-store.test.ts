import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openStore } from "./open-store.node.ts";
import { storeKey } from "./store.ts";

/** What a bucket does that is addressed by path, as far as the store uses it. */
const objects = new Map<string, Buffer>();
const seen: { method: string; signed: boolean }[] = [];
let answer: "as usual" | "forbidden" = "as usual";
let server: Server;
let endpoint: string;
beforeAll(async () => {
  vi.stubEnv("AWS_ACCESS_KEY_ID", "key");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "secret");
  server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const key = decodeURIComponent(new URL(request.url!, "http://host").pathname);
    seen.push({
      method: request.method!,
      signed: /^AWS4-HMAC-SHA256 Credential=key\//.test(request.headers.authorization ?? ""),
    });
    const refuse = (status: number, code: string): void => {
      response.writeHead(status, { "content-type": "application/xml" });
      response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`);
    };
    if (answer === "forbidden") return refuse(403, "AccessDenied");
    if (request.method === "PUT") objects.set(key, Buffer.concat(parts));
    if (request.method === "DELETE") objects.delete(key);
    if (request.method !== "GET") return response.writeHead(request.method === "DELETE" ? 204 : 200).end();
    const found = objects.get(key);
    return found ? response.end(found) : refuse(404, "NoSuchKey");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  endpoint = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
});
afterAll(() => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  server.close();
});

const KEY = storeKey("picture", "a".repeat(32), "png");

test("a bucket keeps bytes under their keys, below the address's prefix", async () => {
  const store = await openStore(`s3://pictures/team/one?endpoint=${endpoint}`);
  const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => i);
  expect(await store.get(KEY)).toBeUndefined();
  await store.put(KEY, bytes);
  expect([...objects.keys()]).toEqual([`/pictures/team/one/${KEY}`]);
  expect(Buffer.from((await store.get(KEY))!).equals(bytes)).toBe(true);
  await store.remove(KEY);
  await store.remove(KEY);
  expect(objects.size).toBe(0);
  expect(seen.every(({ signed }) => signed)).toBe(true);
  const asked = seen.length;
  await expect(store.get("picture/../x")).rejects.toMatchObject({ code: "store/bad-key" });
  expect(seen).toHaveLength(asked);
  await store.close();
});

test("a bucket that refuses or cannot be reached is named", async () => {
  const store = await openStore(`s3://pictures?endpoint=${endpoint}`);
  answer = "forbidden";
  for (const call of [() => store.get(KEY), () => store.put(KEY, new Uint8Array(1)), () => store.remove(KEY)])
    await expect(call()).rejects.toMatchObject({ code: "store/unreachable", message: expect.stringContaining("AccessDenied") });
  answer = "as usual";
  await store.close();
  const nowhere = await openStore("s3://pictures?endpoint=http://127.0.0.1:1");
  await expect(nowhere.get(KEY)).rejects.toMatchObject({ code: "store/unreachable" });
  await nowhere.close();
});

test("an address that is none is refused", async () => {
  for (const address of [
    "s3://",
    "s3://key:secret@pictures",
    "s3://pictures?endpont=http://x",
    "s3://pictures?endpoint=ftp://x",
    "ftp://host/x",
    "s3://A_B",
  ])
    await expect(openStore(address), address).rejects.toMatchObject({ code: "store/bad-address" });
});
