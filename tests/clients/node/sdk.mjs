// OpenAI's client for Node: makes one call of each kind, and says in one object of JSON what came of it.
import OpenAI from "openai";

const [address, key, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: key, maxRetries: 0, timeout: 30_000 });
const messages = [{ role: "user", content: "hello there" }];
const tools = [{ type: "function", function: { name: "look", parameters: { type: "object", properties: {} } } }];

async function chat() {
  const made = await client.chat.completions.create({ model, messages });
  return { id: made.id, usage: made.usage, text: made.choices[0].message.content };
}

async function chatStream(more) {
  const stream = client.chat.completions.stream({ model, messages, ...more });
  const made = await stream.finalChatCompletion();
  const call = made.choices[0].message.tool_calls?.[0];
  return { id: made.id, usage: made.usage ?? null, text: made.choices[0].message.content, call: call?.function };
}

async function responseStream() {
  let final = null;
  for await (const event of await client.responses.create({ model, input: "hello there", stream: true })) {
    final = event.response ?? final;
  }
  return { id: final.id, usage: final.usage, status: final.status };
}

async function embedding() {
  const made = await client.embeddings.create({ model: "embed", input: ["one", "three"] });
  return { vectors: made.data.map((row) => row.embedding.length), usage: made.usage };
}

const calls = {
  chat,
  chat_stream: () => chatStream({}),
  chat_stream_usage: () => chatStream({ stream_options: { include_usage: true } }),
  chat_stream_tools: () => chatStream({ tools }),
  response_stream: responseStream,
  embedding,
};
const said = {};
for (const [name, call] of Object.entries(calls)) {
  try {
    said[name] = await call();
  } catch (error) {
    said[name] = { error: error.constructor.name, status: error.status ?? 0, body: error.error ?? String(error) };
  }
}
process.stdout.write(JSON.stringify(said));
