import { messageOf, UserError } from "../core/errors.ts";
import { optionalPackage } from "../core/optional-package.node.ts";
import { checkedKey, type Store } from "./store.ts";

const ANSWER_MS = 10_000;

/**
 * A store in a bucket of S3 or of what speaks like it. The keys of access are taken from where Amazon's own tools look for them, such as
 * AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
 * @param address `s3://bucket/prefix?region=…&endpoint=https://…`
 * @throws UserError store/bad-address, package/not-installed; store/unreachable as do later calls
 */
export async function s3Store(address: string): Promise<Store> {
  const { bucket, prefix, endpoint, region } = parsedAddress(address);
  const { S3Client, PutObjectCommand, GetObjectCommand, DeleteObjectCommand } = await optionalPackage(
    () => import("@aws-sdk/client-s3"),
    "A store on S3",
    "@aws-sdk/client-s3",
  );
  const client = new S3Client({
    region,
    maxAttempts: 3,
    requestHandler: { connectionTimeout: ANSWER_MS, requestTimeout: ANSWER_MS },
    // what speaks like S3 elsewhere has no host for each bucket, and not every newer checksum
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
  const told = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw new UserError(
        "store/unreachable",
        `The store (bucket ${bucket}) does not do what it is asked: ${messageOf(error)}.`,
        "See that it can be reached, that the bucket is there, and that the keys of access are right and allow reading, writing and removing.",
        { cause: error },
      );
    }
  };
  const object = (key: string) => ({ Bucket: bucket, Key: prefix + checkedKey(key) });
  return {
    async put(key, bytes) {
      const target = object(key);
      await told(() => client.send(new PutObjectCommand({ ...target, Body: bytes, ContentLength: bytes.length })));
    },
    async get(key) {
      const target = object(key);
      return told(async () => {
        try {
          return await (await client.send(new GetObjectCommand(target))).Body?.transformToByteArray();
        } catch (error) {
          if (error instanceof Error && (error.name === "NoSuchKey" || error.name === "NotFound")) return undefined;
          throw error;
        }
      });
    },
    async remove(key) {
      const target = object(key);
      await told(() => client.send(new DeleteObjectCommand(target)));
    },
    close: async () => client.destroy(),
  };
}

function parsedAddress(address: string): { bucket: string; prefix: string; endpoint?: string; region: string } {
  const refuse = (why: string): UserError =>
    new UserError(
      "store/bad-address",
      `${why} in the address of the store.`,
      "Write it as s3://bucket/prefix?region=eu-central-1&endpoint=https://host.",
    );
  if (!URL.canParse(address)) throw refuse("Something is wrong");
  const url = new URL(address);
  if (url.username !== "" || url.password !== "") throw refuse("Keys of access have no place");
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(url.hostname)) throw refuse("There is no name of a bucket");
  const unknown = [...url.searchParams.keys()].find((name) => name !== "region" && name !== "endpoint");
  if (unknown !== undefined) throw refuse(`"${unknown}" means nothing`);
  const endpoint = url.searchParams.get("endpoint") ?? undefined;
  if (endpoint !== undefined && !/^https?:\/\/[^/]/.test(endpoint)) throw refuse("The endpoint is no web address");
  const path = url.pathname.replace(/^\/+|\/+$/g, "");
  const region = url.searchParams.get("region") ?? process.env.AWS_REGION ?? "us-east-1";
  return { bucket: url.hostname, prefix: path === "" ? "" : `${path}/`, region, ...(endpoint === undefined ? {} : { endpoint }) };
}
