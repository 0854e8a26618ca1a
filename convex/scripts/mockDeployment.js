import { createServer } from "node:http";
import { brotliDecompressSync } from "node:zlib";
import { analyzePush } from "./analyzePush.js";

/**
 * Start a mock of a Convex deployment that answers what `convex codegen` asks, on a free port of the loopback
 * interface. It stores nothing: each push is analyzed as if the deployment were empty.
 *
 * @returns {Promise<{ url: string, close: () => Promise<void> }>}
 */
export async function startMockDeployment() {
  const server = createServer((request, response) => {
    answer(request).then(
      (body) => respond(response, 200, body),
      (error) => respond(response, 400, { code: "CannotAnalyze", message: String(error?.stack ?? error) }),
    );
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** @param {import("node:http").IncomingMessage} request */
async function answer(request) {
  switch (request.url) {
    case "/api/get_config_hashes":
      return { config: { functions: "convex/" }, moduleHashes: [] };
    case "/api/deploy2/start_push":
      return startPush(await readJson(request));
    default:
      throw new Error(`the mock deployment does not implement ${request.method} ${request.url}`);
  }
}

/** @param {import("./analyzePush.js").Push} push */
async function startPush(push) {
  return {
    environmentVariables: {},
    externalDepsId: null,
    componentDefinitionPackages: {},
    appAuth: [],
    analysis: await analyzePush(push),
    // The instantiated components, which matter to a deployment only.
    app: {
      definitionPath: "",
      componentPath: "",
      args: {},
      childComponents: {},
      httpRoutes: { httpModuleRoutes: null, mounts: [] },
      exports: {},
    },
    schemaChange: {},
  };
}

/** @param {import("node:http").IncomingMessage} request */
async function readJson(request) {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  const plain = request.headers["content-encoding"] === "br" ? brotliDecompressSync(body) : body;
  return JSON.parse(plain.toString("utf8"));
}

/**
 * @param {import("node:http").ServerResponse} response
 * @param {number} status
 * @param {unknown} body
 */
function respond(response, status, body) {
  response.writeHead(status, { "Content-Type": "application/json", Connection: "close" });
  response.end(JSON.stringify(body));
}
