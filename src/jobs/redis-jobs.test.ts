import { jobsSuite } from "../testing/jobs-suite.ts";
import { redisServer } from "../testing/servers.ts";

let names = 0;

await jobsSuite("jobs on Redis", {
  runs: 10,
  open: async () => {
    const server = await redisServer();
    if (typeof server === "string") return server;
    const address = `redis://127.0.0.1:${server.port}`;
    return { server, fresh: async () => ({ address, name: `queue${names++}` }), close: () => server.close() };
  },
});
