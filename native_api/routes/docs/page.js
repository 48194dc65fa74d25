// Shows openapi.json operation by operation and sends requests to this server, with nothing from anywhere else.

const METHODS = ["get", "post", "put", "delete"];
const token = document.getElementById("token");
let api;

// Elements are made with text, never with markup: nothing in a document or an answer is taken for HTML.
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

// Schemas

function resolve(schema) {
  if (!schema?.$ref) return schema ?? {};
  return schema.$ref.split("/").slice(1).reduce((place, key) => place[key], api);
}

function withoutNull(schema) {
  const choices = (schema.anyOf ?? []).filter((choice) => choice.type !== "null");
  return choices.length === 1 ? { ...schema, anyOf: undefined, ...resolve(choices[0]) } : schema;
}

function typeName(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeName).join(" | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${typeName(schema.items ?? {})}`;
  return schema.format ?? schema.contentMediaType ?? schema.type ?? "anything";
}

const LIMITS = { minLength: "at least", maxLength: "at most", minimum: "from", maximum: "to", minItems: "at least" };

function limits(schema) {
  const inner = withoutNull(resolve(schema));
  const parts = Object.entries(LIMITS)
    .filter(([name]) => inner[name] !== undefined)
    .map(([name, word]) => `${word} ${inner[name]}${name.endsWith("Length") ? " characters" : ""}`);
  if (schema.default !== undefined && schema.default !== null) parts.push(`default ${JSON.stringify(schema.default)}`);
  return parts.join(", ");
}

function remarks(schema) {
  return [schema.description, limits(schema)].filter(Boolean).join(" — ");
}

function nested(schema) {
  const inner = resolve(withoutNull(resolve(schema)));
  return inner.type === "array" ? nested(inner.items) : inner;
}

function schemaView(schema, seen = []) {
  const inner = nested(schema);
  if (!inner.properties || seen.includes(inner)) return "";
  const rows = Object.entries(inner.properties).map(([name, field]) =>
    element(
      "li", {},
      element("span", { className: inner.required?.includes(name) ? "required" : "", textContent: name }),
      element("span", { className: "quiet", textContent: ` ${typeName(field)} ` }),
      element("small", { textContent: remarks(field) }),
      schemaView(field, [...seen, inner]),
    ),
  );
  return element("ul", {}, ...rows);
}

const SAMPLES = { uuid: "00000000-0000-0000-0000-000000000000", "date-time": new Date().toISOString() };

function example(schema, depth = 0) {
  const inner = withoutNull(resolve(schema));
  if (inner.default !== undefined && inner.default !== null) return inner.default;
  if (inner.anyOf) return example(inner.anyOf[0], depth);
  if (inner.enum) return inner.enum[0];
  if ("const" in inner) return inner.const;
  if (inner.type === "array") return depth > 4 ? [] : [example(inner.items ?? {}, depth + 1)];
  if (inner.type === "object" || inner.properties) {
    // An id that is not asked for is left out: made up, it would name nothing.
    const isWanted = ([name, field]) => inner.required?.includes(name) || typeName(withoutNull(field)) !== "uuid";
    const fields = depth > 4 ? [] : Object.entries(inner.properties ?? {}).filter(isWanted);
    return Object.fromEntries(fields.map(([name, field]) => [name, example(field, depth + 1)]));
  }
  if (inner.type === "integer" || inner.type === "number") return Math.max(inner.minimum ?? 0, 0);
  if (inner.type === "boolean") return true;
  return inner.type === "string" ? (SAMPLES[inner.format] ?? "text") : null;
}

// One operation

function operationView(path, method, operation) {
  const opened = element("div");
  const view = element(
    "details", { className: "operation", id: operation.operationId },
    element(
      "summary", {},
      element("span", { className: `method ${method}`, textContent: method }),
      element("code", { textContent: path }),
      element("span", { className: "words", textContent: operation.summary }),
    ),
    opened,
  );
  view.addEventListener("toggle", () => view.open && !opened.hasChildNodes() && fill(opened, path, method, operation));
  view.words = `${method} ${path} ${operation.summary} ${operation.description ?? ""}`.toLowerCase();
  return view;
}

function fill(place, path, method, operation) {
  const [kind, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  const parameters = operation.parameters.map((parameter) => ({ ...parameter, input: input(parameter.schema) }));
  const body = kind && (kind === "application/json" ? jsonBody(content.schema) : formBody(content.schema));
  const answer = element("div", { ariaLive: "polite" });
  const send = element("button", { type: "button", textContent: "Send" });
  send.addEventListener("click", async () => {
    send.disabled = true;
    answer.replaceChildren(...(await request(path, method, parameters, kind, body)));
    send.disabled = false;
  });
  place.append(
    element("p", { textContent: operation.description ?? "" }),
    element("p", { className: "quiet", textContent: operation.security.length ? "" : "Needs no credentials." }),
    ...heading("Parameters", parameters.map((p) => fieldView(p.name, p.required, p.schema, p.description, p.input))),
    ...heading(kind ? `Body: ${kind}` : "", body ? [body.view] : []),
    send,
    answer,
    ...heading("Answers", Object.entries(operation.responses).map(answerView)),
  );
}

function heading(text, content) {
  return content.length ? [element("h3", { textContent: text }), ...content] : [];
}

function fieldView(name, required, schema, description, control) {
  const shown = [typeName(schema), description, remarks(schema)].filter(Boolean).join(" — ");
  return element(
    "label", { className: "field" },
    element("span", { className: required ? "required" : "", textContent: name }),
    control,
    element("small", { textContent: shown }),
  );
}

function input(schema) {
  const inner = withoutNull(resolve(schema));
  if (inner.enum) {
    return element("select", {}, ...["", ...inner.enum].map((value) => element("option", { textContent: value })));
  }
  const isFile = inner.format === "binary" || inner.contentMediaType === "application/octet-stream";
  return element("input", { type: isFile ? "file" : inner.format === "password" ? "password" : "text" });
}

function jsonBody(schema) {
  const text = element("textarea", { spellcheck: false, value: JSON.stringify(example(schema), null, 2) });
  return { view: element("div", { className: "schema" }, text, schemaView(schema)), read: () => text.value };
}

function formBody(schema) {
  const controls = Object.entries(resolve(schema).properties ?? {}).map(([name, field]) => [name, field, input(field)]);
  const rows = controls.map(([name, field, control]) =>
    fieldView(name, resolve(schema).required?.includes(name), field, "", control),
  );
  return {
    view: element("div", {}, ...rows),
    read: () => controls.map(([name, , control]) => [name, control.files?.[0] ?? control.value]).filter(([, v]) => v),
  };
}

function answerView([status, answer]) {
  const found = resolve(answer);
  const schema = found.content?.["application/json"]?.schema;
  return element(
    "details", { className: "schema" },
    element("summary", {}, `${status} `, element("small", { textContent: found.description })),
    schema ? element("span", { className: "quiet", textContent: typeName(schema) }) : "",
    schema ? schemaView(schema) : "",
  );
}

// Requests

async function request(path, method, parameters, kind, body) {
  const query = new URLSearchParams();
  let url = path;
  for (const { name, in: where, input } of parameters) {
    if (where === "path") url = url.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value) query.set(name, input.value);
  }
  // The document says /api/...; the page may be served below another path.
  url = new URL(`.${url.replace(/^\/api/, "")}${query.size ? `?${query}` : ""}`, document.baseURI);
  const headers = token.value ? { Authorization: `Bearer ${token.value}` } : {};
  let content;
  if (kind === "multipart/form-data") {
    content = new FormData();
    body.read().forEach(([name, value]) => content.append(name, value));
  } else if (kind) {
    headers["Content-Type"] = kind;
    content = kind === "application/json" ? body.read() : new URLSearchParams(body.read()).toString();
  }
  const line = `${method.toUpperCase()} ${url.pathname}${url.search}`;
  const begun = performance.now();
  try {
    const response = await fetch(url, { method, headers, body: content, credentials: "omit" });
    const text = await response.text();
    const status = `${response.status} ${response.statusText}, ${Math.round(performance.now() - begun)} ms`;
    return [element("p", {}, element("code", { textContent: `${line} → ${status}` })), pretty(text)];
  } catch (error) {
    return [element("p", { textContent: `${line}: ${error.message}` })];
  }
}

function pretty(text) {
  let shown = text;
  try {
    const answer = JSON.parse(text);
    shown = JSON.stringify(answer, null, 2);
    if (answer.access_token) token.value = answer.access_token; // whoever logs in here goes on as themselves
  } catch {
    // not JSON: shown as it is
  }
  return element("pre", { textContent: shown || "(no content)" });
}

// The page

function sectionView(tag) {
  const views = Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]?.tags.includes(tag)).map((method) => operationView(path, method, item[method])),
  );
  return element("section", {}, element("h2", { textContent: tag }), ...views);
}

function filter(text) {
  const words = text.toLowerCase().split(/\s+/);
  for (const section of document.querySelectorAll("section")) {
    const views = [...section.querySelectorAll(".operation")];
    views.forEach((view) => (view.hidden = !words.every((word) => view.words.includes(word))));
    section.hidden = views.every((view) => view.hidden);
  }
}

function openNamed() {
  const view = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (view) {
    view.open = true;
    view.scrollIntoView();
  }
}

async function start() {
  const about = document.getElementById("about");
  try {
    api = await (await fetch("openapi.json")).json();
  } catch (error) {
    about.textContent = `openapi.json cannot be read: ${error.message}`;
    return;
  }
  document.title = document.querySelector("h1").textContent = `${api.info.title} ${api.info.version}`;
  about.textContent = api.info.description;
  document.querySelector("main").append(...api.tags.map((tag) => sectionView(tag.name)));
  const find = document.getElementById("filter");
  find.addEventListener("input", () => filter(find.value));
  addEventListener("hashchange", openNamed);
  openNamed();
}

start();
