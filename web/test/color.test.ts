import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, ramp, scale, share, short } from '../src/color';

test('a scale spans the values that are there, from zero where none is negative', () => {
  assert.deepEqual(scale([3, null, 8, NaN]), { low: 0, high: 8 });
  assert.deepEqual(scale([-2, 4]), { low: -2, high: 4 });
  assert.deepEqual(scale([null]), { low: 0, high: 1 });
  assert.deepEqual(scale([0, 0]), { low: 0, high: 1 });
});

test('share and at are inverse', () => {
  const s = { low: -1, high: 15 };
  for (const v of [-1, 0, 3, 15]) assert.ok(Math.abs(at(s, share(s, v)) - v) < 1e-9);
  assert.equal(share(s, 99), 1);
});

test('the ramp begins dark, ends bright and stays within bytes', () => {
  assert.deepEqual(ramp(0), [68, 1, 84]);
  assert.deepEqual(ramp(1), [253, 231, 37]);
  assert.deepEqual(ramp(7), ramp(1));
});

test('numbers are short', () => {
  assert.deepEqual([0, 1.234, 12345, 0.0012, 2e9].map(short), ['0', '1.23', '12.35k', '1.2e-3', '2.0e+9']);
});
