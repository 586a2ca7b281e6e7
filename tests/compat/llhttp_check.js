// Reads captured streams with llhttp, as Node has it, in its strict mode, and says which are not what they should be.
//
// The format of a stream stands in h11_check.py. llhttp knows registered methods only: streams with others are counted and
// left to h11.
'use strict';

const fs = require('fs');
const { METHODS } = require('http');

process.noDeprecation = true;
// The parser itself: what `http.createServer` makes of its verdict is not asked.
const { HTTPParser } = process.binding('http_parser');
const HEAD_MAX = 1 << 20;

/** What llhttp says against a stream; null if nothing. */
function fault(kind, methods, lengths, data) {
  const seen = [];
  let left = data;
  while (true) {
    const [said, read] = run(kind, methods, seen, left);
    if (said) return said;
    left = left.subarray(read);
    if (left.length === 0) break;
    // It stops behind a request for another protocol. That was not granted, so what follows is read on.
    if (kind !== 'Q' || read === 0) return `${left.length} bytes were not read`;
  }
  if (seen.join() !== lengths.join()) return `bodies of ${seen.join()} bytes, not ${lengths.join()}`;
  return null;
}

/** Runs one parser; what it says against the bytes, and how many it read. */
function run(kind, methods, seen, data) {
  let length = 0;
  let interim = false;
  let upgrade = false;
  const parser = new HTTPParser();
  const type = kind === 'Q' ? HTTPParser.REQUEST : HTTPParser.RESPONSE;
  parser.initialize(type, {}, HEAD_MAX, HTTPParser.kLenientNone);
  parser[HTTPParser.kOnMessageBegin] = () => { length = 0; };
  parser[HTTPParser.kOnHeaders] = () => {};
  parser[HTTPParser.kOnHeadersComplete] = (major, minor, headers, method, url, status) => {
    interim = kind === 'R' && status < 200;
    upgrade = kind === 'Q' && headers !== undefined && /(^|,)upgrade(,|$)/i.test(headers.join());
    // 1: no body, whatever the fields say.
    return kind === 'R' && methods[seen.length] === 'HEAD' ? 1 : 0;
  };
  parser[HTTPParser.kOnBody] = (piece) => { length += piece.length; };
  parser[HTTPParser.kOnMessageComplete] = () => { if (!interim) seen.push(length); };
  const read = parser.execute(data);
  if (read instanceof Error) return [`${read.code}: ${read.reason} at byte ${read.bytesParsed}`, 0];
  if (read !== data.length) return upgrade ? [null, read] : [`${data.length - read} bytes were not read`, 0];
  const ended = parser.finish();
  return [ended instanceof Error ? `${ended.code} at the end` : null, read];
}

function main(path) {
  const file = fs.readFileSync(path);
  const items = (word) => (word === '-' ? [] : word.split(','));
  let at = 0;
  let [count, messages, wrong, skipped] = [0, 0, 0, 0];
  while (at < file.length) {
    const end = file.indexOf('\n', at);
    const [kind, name, methods, lengths, size] = file.toString('latin1', at, end).split(' ');
    const data = file.subarray(end + 1, end + 1 + Number(size));
    at = end + 1 + Number(size) + 1;
    if (!items(methods).every((method) => METHODS.includes(method))) {
      skipped += 1;
      continue;
    }
    count += 1;
    messages += items(methods).length;
    const said = fault(kind, items(methods), items(lengths), data);
    if (said) {
      wrong += 1;
      const shown = JSON.stringify(data.toString('latin1', 0, 400));
      console.log(`llhttp: ${kind} ${name}: ${said}: ${shown}`);
    }
  }
  console.log(`llhttp ${process.versions.llhttp}: ${count} streams, ${messages} messages, ${wrong} wrong, ` +
    `${skipped} with methods that it does not know`);
  return wrong || !messages ? 1 : 0;
}

process.exit(main(process.argv[2]));
