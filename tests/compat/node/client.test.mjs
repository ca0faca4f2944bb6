// The official Node client against a real server; `make test-node` starts both.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { CursorPage } from 'openai/core/pagination';

const baseURL = process.env.RAGEN_TEST_URL;
const client = connect({ maxRetries: 0 });
const { threads } = client.beta;

function connect(options = {}) {
  return new OpenAI({ baseURL, apiKey: process.env.RAGEN_TEST_KEY, timeout: 20_000, ...options });
}

async function every(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

const turns = (count) =>
  Array.from({ length: count }, (_, place) => ({ role: 'user', content: String(place) }));
const texts = (messages) => messages.map((message) => message.content[0].text.value);

test('a thread is created, retrieved, updated and deleted', async () => {
  const thread = await threads.create({ metadata: { a: '1', b: '2' } });
  assert.equal(thread.object, 'thread');
  assert.match(thread.id, /^thread-[0-9a-f]{32}$/);
  assert.deepEqual(await threads.retrieve(thread.id), thread);
  const updated = await threads.update(thread.id, { metadata: { b: '3' } });
  assert.deepEqual(updated.metadata, { a: '1', b: '3' });
  assert.deepEqual(await threads.delete(thread.id), {
    id: thread.id,
    object: 'thread.deleted',
    deleted: true,
  });
  await assert.rejects(threads.retrieve(thread.id), OpenAI.NotFoundError);
});

test('a thread is created with nothing said', async () => {
  const thread = await threads.create();
  assert.deepEqual([thread.metadata, thread.title], [{}, null]);
});

test('title and assistant_id travel in the body', async () => {
  const thread = await threads.create({ title: 'Support', assistant_id: 'asst-web' });
  assert.deepEqual([thread.title, thread.assistant_id], ['Support', 'asst-web']);
  const patched = await client.patch(`/threads/${thread.id}`, { body: { title: 'New' } });
  assert.equal(patched.title, 'New');
});

test('a message is created, retrieved, updated and deleted', async () => {
  const thread_id = (await threads.create()).id;
  const attachments = [{ file_id: 'file-1', tools: [{ type: 'file_search' }] }];
  const message = await threads.messages.create(thread_id, {
    role: 'assistant',
    content: 'Hello, how can I help?',
    attachments,
  });
  assert.deepEqual(texts([message]), ['Hello, how can I help?']);
  assert.deepEqual(message.attachments, attachments);
  assert.deepEqual(await threads.messages.retrieve(message.id, { thread_id }), message);
  const updated = await threads.messages.update(message.id, { thread_id, metadata: { k: 'v' } });
  assert.deepEqual(updated, { ...message, metadata: { k: 'v' } });
  assert.deepEqual(await threads.messages.delete(message.id, { thread_id }), {
    id: message.id,
    object: 'thread.message.deleted',
    deleted: true,
  });
  await assert.rejects(
    threads.messages.retrieve(message.id, { thread_id }),
    new RegExp(`No message found with id '${message.id}'.`),
  );
});

test('every kind of content is kept in its order', async () => {
  const thread = await threads.create();
  const url = 'https://example.com/cat.png';
  const message = await threads.messages.create(thread.id, {
    role: 'user',
    content: [
      { type: 'text', text: 'Look:' },
      { type: 'image_url', image_url: { url } },
      { type: 'image_file', image_file: { file_id: 'file-1', detail: 'low' } },
    ],
  });
  assert.deepEqual(message.content, [
    { type: 'text', text: { value: 'Look:', annotations: [] } },
    { type: 'image_url', image_url: { url, detail: 'auto' } },
    { type: 'image_file', image_file: { file_id: 'file-1', detail: 'low' } },
  ]);
});

for (const order of ['asc', 'desc']) {
  for (const limit of [1, 5, 7]) {
    test(`a for loop sees every message once: ${order}, ${limit} a page`, async () => {
      const thread = await threads.create({ messages: turns(10) });
      const expected = texts(turns(10).map(({ content: value }) => ({ content: [{ text: { value } }] })));
      const found = texts(await every(threads.messages.list(thread.id, { order, limit })));
      assert.deepEqual(found, order === 'asc' ? expected : expected.reverse());
    });
  }
}

test('messages can be deleted while they are listed', async () => {
  const thread = await threads.create({ messages: turns(9) });
  const seen = [];
  for await (const message of threads.messages.list(thread.id, { limit: 2 })) {
    await threads.messages.delete(message.id, { thread_id: thread.id });
    seen.push(message);
  }
  assert.deepEqual(texts(seen), ['8', '7', '6', '5', '4', '3', '2', '1', '0']);
  assert.deepEqual(await every(threads.messages.list(thread.id)), []);
});

test('the list of threads pages through the stock client', async () => {
  const made = [];
  for (let number = 0; number < 5; number++) made.unshift((await threads.create()).id);
  const listed = [];
  for await (const thread of client.getAPIList('/threads', CursorPage, { query: { limit: 2 } })) {
    listed.push(thread.id);
    if (listed.length === made.length) break;
  }
  assert.deepEqual(listed, made);
});

test('errors have the class, the fields and the request id of OpenAI', async () => {
  const thread = await threads.create();
  const badRole = await threads.messages
    .create(thread.id, { role: 'human', content: 'x' })
    .catch((error) => error);
  assert.ok(badRole instanceof OpenAI.BadRequestError);
  assert.equal(badRole.status, 400);
  assert.deepEqual([badRole.code, badRole.param], ['invalid_value', 'role']);
  assert.equal(badRole.type, 'invalid_request_error');
  assert.match(badRole.requestID, /^req_[0-9a-f]{32}$/);

  const unknown = await threads.retrieve('thread-x').catch((error) => error);
  assert.ok(unknown instanceof OpenAI.NotFoundError);
  assert.match(unknown.message, /No thread found with id 'thread-x'\./);

  const stranger = connect({ apiKey: 'not-a-recognized' });
  const refused = await stranger.beta.threads.create().catch((error) => error);
  assert.ok(refused instanceof OpenAI.AuthenticationError);
  assert.equal(refused.code, 'invalid_api_key');
});

test('an answer shows its headers', async () => {
  const { data, response, request_id } = await threads.create().withResponse();
  assert.equal(data.object, 'thread');
  assert.equal(response.headers.get('openai-version'), '2020-10-01');
  assert.match(request_id, /^req_[0-9a-f]{32}$/);
});

test('a client out of tokens waits and goes on by itself', async () => {
  const apiKey = process.env.RAGEN_TEST_BRISK_KEY;
  let status = 200;
  while (status === 200) {
    const answer = await fetch(`${baseURL}/threads`, {
      headers: { authorization: `Bearer ${apiKey}` },
    });
    await answer.arrayBuffer();
    ({ status } = answer);
  }
  assert.equal(status, 429);
  const impatient = await connect({ apiKey, maxRetries: 0 })
    .beta.threads.create()
    .catch((error) => error);
  assert.ok(impatient instanceof OpenAI.RateLimitError || impatient.object === 'thread');
  const thread = await connect({ apiKey }).beta.threads.create();
  assert.equal(thread.object, 'thread');
});
