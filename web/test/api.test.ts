import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkpoint, rows, seconds } from '../src/api';
import { forecast, times } from '../src/chart';

const answer = {
  entities: [
    { h3: '89283082837ffff', windowEnd: '2008-05-21T00:15:00Z', state: 'ROW_STATE_FINAL', ageSeconds: 1.5 },
    { h3: '89283082837ffff', windowEnd: '2008-05-21T00:30:00Z', state: 'ROW_STATE_FINAL' },
  ],
  columns: [
    { name: 'n', integers: ['7', '9'] },
    { name: 'next', floats: [0, 7.5], nulls: [0] },
    { name: 'next_lo', integers: ['0', '4'], nulls: [0] },
    { name: 'next_hi', integers: ['0', '12'], nulls: [0] },
    { name: 'next_at', integers: ['1211328900000000', '1211329800000000'] },
  ],
};

test('64-bit integers come as text and nulls by position', () => {
  const r = rows(answer);
  assert.deepEqual(r.values.get('n'), [7, 9]);
  assert.deepEqual(r.values.get('next'), [null, 7.5]);
  assert.equal(r.entities[0].state, 'final');
  assert.equal(r.entities[0].ageSeconds, 1.5);
  assert.deepEqual(rows({}).entities, []);
});

test('durations are seconds', () => assert.equal(seconds('900s'), 900));

test('a forecast stands at the end of the window that it is for', () => {
  const r = rows(answer);
  assert.deepEqual(times(r), [1211328900, 1211329800]);
  const f = forecast(r, 'next', 'n', 900);
  assert.deepEqual(f.x, [1211328900, 1211329800, 1211330700]);
  assert.deepEqual(f.actual, [7, 9, null]);
  assert.deepEqual(f.mean, [null, null, 7.5]);
  assert.deepEqual(f.high, [null, null, 12]);
});

test('checkpoints are read with their parts', () => {
  const c = checkpoint({ epoch: '12', bytes: '4096', newBytes: '96', objects: 7, longestChain: 3, parts: [{ name: 'commit', seconds: 0.25 }, { name: 'sinks' }], slowestShard: 3 });
  assert.equal(c.epoch, 12);
  assert.deepEqual([c.bytes, c.newBytes, c.objects, c.longestChain], [4096, 96, 7, 3]);
  assert.deepEqual(c.parts, [{ name: 'commit', seconds: 0.25 }, { name: 'sinks', seconds: 0 }]);
  assert.equal(c.error, '');
});
