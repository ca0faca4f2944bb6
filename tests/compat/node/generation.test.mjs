// The official Node client generates through a real server; the upstream is made here.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';

const client = new OpenAI({
  baseURL: process.env.RAGEN_TEST_URL,
  apiKey: process.env.RAGEN_TEST_KEY,
  timeout: 20_000,
  maxRetries: 0,
});
const said = { model: 'm', messages: [{ role: 'user', content: 'Hi' }] };
let answer;
const upstream = createServer((request, response) => {
  request.resume();
  request.on('end', () => answer(request, response));
});

before(async () => {
  upstream.listen(Number(process.env.RAGEN_TEST_UPSTREAM_PORT), '127.0.0.1');
  await once(upstream, 'listening');
});
after(() => {
  upstream.closeAllConnections();
  upstream.close();
});

function event(content) {
  const choices = [{ index: 0, delta: { content }, finish_reason: null }];
  const chunk = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}

function begin(response) {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  response.write(event('one'));
}

test('a stream comes through, chunk by chunk', async () => {
  answer = (request, response) => {
    begin(response);
    response.end(`${event('two')}data: [DONE]\n\n`);
  };
  const got = [];
  for await (const chunk of await client.chat.completions.create({ ...said, stream: true })) {
    got.push(chunk.choices[0].delta.content);
  }
  assert.deepEqual(got, ['one', 'two']);
});

test('a stream that breaks off between events raises', async () => {
  answer = (request, response) => {
    begin(response);
    setImmediate(() => response.destroy());
  };
  await assert.rejects(async () => {
    for await (const chunk of await client.chat.completions.create({ ...said, stream: true })) {
      assert.equal(chunk.choices[0].delta.content, 'one');
    }
  }, /The upstream cut its answer short/);
});

test('a stream that the client leaves ends at the upstream too', async () => {
  let left;
  answer = (request, response) => {
    left = once(response, 'close');
    begin(response);
  };
  const stream = await client.chat.completions.create({ ...said, stream: true });
  for await (const chunk of stream) {
    assert.equal(chunk.choices[0].delta.content, 'one');
    break;
  }
  await left;
});

test("the upstream's errors are the client's", async () => {
  answer = (request, response) => {
    response.writeHead(429, { 'Content-Type': 'application/json', 'x-request-id': 'req_theirs' });
    response.end('{"error":{"message":"slow down","type":"requests","param":null,"code":"x"}}');
  };
  await assert.rejects(client.chat.completions.create(said), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.equal(error.code, 'x');
    assert.equal(error.requestID, 'req_theirs');
    return true;
  });
});
