import { readFile, realpath } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import path from "node:path";

const TYPES: Record<string, string> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
};

const HEADERS: Record<string, string> = {
  // CodeMirror writes its styles into <style> elements.
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; "),
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** Serves a built page: its files, and index.html for every other path without an extension. */
export class Page {
  /** `directory`: where the files are, or `null` if there is no page. */
  constructor(private readonly directory: string | null) {}

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return answer(request, response, 405, ".txt", Buffer.from("Method not allowed"), { allow: "GET, HEAD" });
    }
    const pathname = decodePath(request.url ?? "/");
    const file = pathname === null ? null : await this.#find(pathname);
    if (file === null) return answer(request, response, 404, ".txt", Buffer.from("Not found"));
    // Vite puts a hash of the content into the names of assets.
    const cacheControl = file.name.startsWith("assets/") ? "public, max-age=31536000, immutable" : "no-cache";
    answer(request, response, 200, path.extname(file.name), file.content, { "cache-control": cacheControl });
  }

  async #find(pathname: string): Promise<{ name: string; content: Buffer } | null> {
    if (this.directory === null || /^\/api(\/|$)/.test(pathname)) return null;
    const name = path.extname(pathname) === "" ? "index.html" : pathname.slice(1);
    try {
      // Of the real paths: neither ".." nor a symbolic link may lead out of the directory.
      const root = await realpath(this.directory);
      const file = await realpath(path.resolve(root, name));
      return file.startsWith(root + path.sep) ? { name, content: await readFile(file) } : null;
    } catch {
      return null;
    }
  }
}

/** Returns the decoded path of a request, or `null` if it is malformed. */
function decodePath(url: string): string | null {
  try {
    const pathname = decodeURIComponent(url.replace(/[?#].*$/s, ""));
    return pathname.startsWith("/") && !/[\0\\]/.test(pathname) ? pathname : null;
  } catch {
    return null;
  }
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  extension: string,
  content: Buffer,
  headers: Record<string, string> = {},
): void {
  const type = TYPES[extension] ?? "application/octet-stream";
  response.writeHead(status, { ...HEADERS, ...headers, "content-type": type, "content-length": content.length });
  response.end(request.method === "HEAD" ? undefined : content);
}
