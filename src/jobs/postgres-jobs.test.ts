import { jobsSuite } from "../testing/jobs-suite.ts";
import { postgresServer } from "../testing/servers.ts";

let names = 0;

await jobsSuite("jobs on Postgres", {
  runs: 4,
  open: async () => {
    const server = await postgresServer();
    if (typeof server === "string") return server;
    const address = `postgres://photomaker@127.0.0.1:${server.port}/postgres`;
    return { server, fresh: async () => ({ address, name: `queue${names++}` }), close: () => server.close() };
  },
});
