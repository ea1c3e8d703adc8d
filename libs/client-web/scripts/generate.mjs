// TypeScript types of everything on the wire, from the contracts' JSON Schema.
// `npm run generate` writes src/contracts.gen.ts; test/contracts.test.ts says when it is out of date.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compile } from "json-schema-to-typescript";

const SCHEMA = new URL("../../contracts/schema/", import.meta.url);
export const TARGET = new URL("../src/contracts.gen.ts", import.meta.url);

const read = (name) => JSON.parse(readFileSync(new URL(name, SCHEMA), "utf8"));
const RENAMED = { Error: "ErrorFrame" }; // `Error` is the language's own

/** A schema as json-schema-to-typescript draws it best: no nulls (they do not travel), no titles, no bounds. */
function plain(node, sent = false) {
  if (Array.isArray(node)) return node.map((item) => plain(item, sent));
  if (node === null || typeof node !== "object") return node;
  if (node.anyOf?.some((option) => option.type === "null")) {
    const { anyOf, ...rest } = node;
    const options = anyOf.filter((option) => option.type !== "null");
    return plain(options.length === 1 ? { ...options[0], ...rest } : { ...rest, anyOf: options }, sent);
  }
  const dropped = ["title", "default", "minItems", "maxItems", "minLength", "maxLength", "pattern", "format"];
  const out = {};
  for (const [key, value] of Object.entries(node)) {
    if (key === "properties") {
      out.properties = Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, plain(schema, sent)]));
    } else if (key === "$ref") {
      const name = value.replace("#/$defs/", "");
      out.$ref = `#/$defs/${RENAMED[name] ?? name}`;
    } else if (key === "description") {
      out.description = value.replaceAll("``", "`");
    } else if (!dropped.includes(key)) {
      out[key] = plain(value, sent);
    }
  }
  if (out.properties) {
    // What the server fills in (a default that is no null) is always there in what it sends.
    const filled = Object.keys(node.properties).filter(
      (name) => name === "type" || (sent && (node.properties[name].default ?? null) !== null),
    );
    out.required = [...new Set([...filled, ...(node.required ?? [])])];
    out.additionalProperties = false;
  }
  return out;
}

export async function generate() {
  const parts = { Event: "events", ClientFrame: "client-frames", ServerFrame: "server-frames" };
  const defs = {};
  const events = [];
  for (const [union, file] of Object.entries(parts)) {
    const schema = read(`${file}.schema.json`);
    for (const [name, definition] of Object.entries(schema.$defs)) {
      defs[RENAMED[name] ?? name] = plain(definition, union !== "ClientFrame");
      if (definition["x-shown"]) events.push([definition.properties.type.const, definition["x-quality"]]);
    }
    // Commands and executors' words travel on the bus only: no client sees them.
    const members = schema.oneOf.filter(({ $ref }) => schema.$defs[$ref.replace("#/$defs/", "")]["x-shown"] !== false);
    defs[union] = plain({ oneOf: members });
  }
  const types = await compile({ $defs: defs }, "Wire", {
    bannerComment: "",
    additionalProperties: false,
    unreachableDefinitions: true,
    style: { printWidth: 120 },
  });
  const table = (entries) => entries.map(([key, value]) => `  ${key}: ${JSON.stringify(value)},\n`).join("");
  const codes = Object.entries(read("close-codes.json")).map(([name, code]) => [name.toUpperCase(), code]);
  return [
    "/** Generated from libs/contracts/schema by `npm run generate`; do not edit. */\n",
    types
      .replace(/export interface Wire \{[^}]*\}\n+/s, "")
      .replace(/\/\*\*\n \* This interface was referenced by `Wire`.*\n \* via the `definition` ".*"\.\n \*\/\n/g, "")
      .replace(/ \*\n \* This interface was referenced by `Wire`.*\n \* via the `definition` ".*"\.\n/g, ""),
    "/** Class of service of each event type. */",
    `export const QUALITY = {\n${table(events)}} as const;\n`,
    "/** Why a connection ended. The range is the rule: 40xx reconnect, 45xx stop. */",
    `export const CloseCode = {\n${table(codes)}} as const;`,
    "",
  ].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(TARGET, await generate());
}
