// Stands in for qwen where fifty of them are more than a machine carries: it prints the lines that qwen prints for a reply
// of one text, at an even pace, and does nothing else. Every other prompt is the real one's.
import fs from 'node:fs';

const asked = fs.readFileSync(process.env.HOME + '/../prompt', 'utf8');
const pace = /replay (\d+) tokens at (\d+) a second/.exec(asked);
if (pace) {
  const [tokens, perSecond] = [Number(pace[1]), Number(pace[2])];
  const session = process.argv.find((a) => a.startsWith('--session-id='))?.slice(13) ?? '';
  const print = (line) => fs.writeSync(1, JSON.stringify({ ...line, uuid: session, session_id: session }) + '\n');
  const event = (event) => print({ type: 'stream_event', parent_tool_use_id: null, event });
  const usage = { input_tokens: 1000, output_tokens: tokens, cache_read_input_tokens: 0, total_tokens: 1000 + tokens };
  const model = 'replayed';
  print({ type: 'system', subtype: 'init', cwd: process.cwd(), tools: ['read_file', 'grep_search', 'glob'],
          mcp_servers: [], model, permission_mode: 'plan', slash_commands: ['conductor-prompt'] });
  event({ type: 'message_start', message: { id: session, role: 'assistant', model, content: [] } });
  event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } });
  let said = '';
  const start = performance.now();
  for (let number = 0; number < tokens; number++) {
    const early = start + (number * 1000) / perSecond - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    const text = number + ':' + Math.round((performance.timeOrigin + performance.now()) * 1000) + ' ';
    said += text;
    event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } });
  }
  // With its end an attempt's deltas go; the last of them are to be heard before.
  await new Promise((resolve) => setTimeout(resolve, 2000));
  event({ type: 'content_block_stop', index: 0 });
  const message = { id: session, type: 'message', role: 'assistant', model, content: [{ type: 'text', text: said }],
                    stop_reason: null, usage };
  print({ type: 'assistant', parent_tool_use_id: null, message });
  event({ type: 'message_stop' });
  print({ type: 'result', subtype: 'success', is_error: false, duration_ms: 1, duration_api_ms: 1, num_turns: 1,
          result: said, usage, permission_denials: [] });
  process.exit(0);
}
// It looks who it is called as.
process.argv[1] = new URL('./real.js', import.meta.url).pathname;
await import('./real.js');
