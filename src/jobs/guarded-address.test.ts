import { expect, test } from "vitest";
import { checkGuarded } from "./guarded-address.ts";

test("a queue on another machine needs a password and encryption, unless the network is closed", () => {
  const lacking = (address: string): string => {
    try {
      checkGuarded(address, false);
      return "";
    } catch (error) {
      expect(error).toMatchObject({ code: "jobs/unguarded" });
      expect((error as Error).message).not.toContain("secret");
      return (error as Error).message.replace(/^.*used without /, "");
    }
  };
  for (const address of [
    "redis://localhost",
    "redis://127.0.0.1:6379/2",
    "redis://[::1]:6379",
    "postgres://127.0.0.1/db",
    "postgres:///db",
  ])
    expect(lacking(address), address).toBe("");
  for (const address of ["rediss://:secret@example.org", "postgres://a:secret@example.org/db?sslmode=verify-full"])
    expect(lacking(address), address).toBe("");
  expect(lacking("redis://example.org")).toBe("a password and without encryption.");
  expect(lacking("rediss://example.org")).toBe("a password.");
  expect(lacking("redis://:secret@10.0.0.5")).toBe("encryption.");
  expect(lacking("postgres://a:secret@db/x?sslmode=prefer")).toBe("encryption.");
  expect(lacking("redis://localhost.example.org:1")).not.toBe("");
  expect(() => checkGuarded("redis://redis:6379", true)).not.toThrow();
  expect(() => checkGuarded("redis://", true)).not.toThrow();
  expect(() => checkGuarded("redis://:::", false)).toThrow(expect.objectContaining({ code: "jobs/bad-address" }));
});
