;; What updates do to every number, four at a time. `npm run kernels` makes kernels-bytes.js of it.
;; Addresses are bytes, and n, how many numbers lie from there on, is a multiple of four.
(module
  (import "env" "memory" (memory 1 65536 shared))

  ;; into = a into + b values
  (func (export "blend") (param $into i32) (param $values i32) (param $n i32) (param $a f32) (param $b f32)
    (local $end i32) (local $as v128) (local $bs v128)
    (local.set $as (f32x4.splat (local.get $a)))
    (local.set $bs (f32x4.splat (local.get $b)))
    (local.set $end (i32.add (local.get $into) (i32.shl (local.get $n) (i32.const 2))))
    (loop $next
      (v128.store (local.get $into)
        (f32x4.add
          (f32x4.mul (v128.load (local.get $into)) (local.get $as))
          (f32x4.mul (v128.load (local.get $values)) (local.get $bs))))
      (local.set $into (i32.add (local.get $into) (i32.const 16)))
      (local.set $values (i32.add (local.get $values) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $into) (local.get $end)))))

  ;; into = into + share (values - into)
  (func (export "approach") (param $into i32) (param $values i32) (param $n i32) (param $share f32)
    (local $end i32) (local $shares v128) (local $old v128)
    (local.set $shares (f32x4.splat (local.get $share)))
    (local.set $end (i32.add (local.get $into) (i32.shl (local.get $n) (i32.const 2))))
    (loop $next
      (local.set $old (v128.load (local.get $into)))
      (v128.store (local.get $into)
        (f32x4.add
          (local.get $old)
          (f32x4.mul (f32x4.sub (v128.load (local.get $values)) (local.get $old)) (local.get $shares))))
      (local.set $into (i32.add (local.get $into) (i32.const 16)))
      (local.set $values (i32.add (local.get $values) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $into) (local.get $end)))))

  ;; the sum of squares, in double precision: what overflows in single precision may still be clipped
  (func (export "sumOfSquares") (param $at i32) (param $n i32) (result f64)
    (local $end i32) (local $x v128) (local $y v128) (local $low v128) (local $high v128)
    (local.set $end (i32.add (local.get $at) (i32.shl (local.get $n) (i32.const 2))))
    (loop $next
      (local.set $x (f64x2.promote_low_f32x4 (v128.load64_zero (local.get $at))))
      (local.set $y (f64x2.promote_low_f32x4 (v128.load64_zero offset=8 (local.get $at))))
      (local.set $low (f64x2.add (local.get $low) (f64x2.mul (local.get $x) (local.get $x))))
      (local.set $high (f64x2.add (local.get $high) (f64x2.mul (local.get $y) (local.get $y))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (local.set $low (f64x2.add (local.get $low) (local.get $high)))
    (f64.add (f64x2.extract_lane 0 (local.get $low)) (f64x2.extract_lane 1 (local.get $low))))

  ;; mean = beta1 mean + rest1 g, square = beta2 square + rest2 g g, params = keep params - step mean / (perRoot sqrt(square) + eps),
  ;; where g is scale gradients
  (func (export "adamw")
    (param $params i32) (param $m i32) (param $v i32) (param $gradients i32) (param $n i32)
    (param $scale f32) (param $keep f32) (param $step f32) (param $perRoot f32)
    (param $beta1 f32) (param $rest1 f32) (param $beta2 f32) (param $rest2 f32) (param $eps f32)
    (local $end i32) (local $g v128) (local $mean v128) (local $square v128)
    (local $scales v128) (local $keeps v128) (local $steps v128) (local $perRoots v128)
    (local $beta1s v128) (local $rest1s v128) (local $beta2s v128) (local $rest2s v128) (local $epss v128)
    (local.set $scales (f32x4.splat (local.get $scale)))
    (local.set $keeps (f32x4.splat (local.get $keep)))
    (local.set $steps (f32x4.splat (local.get $step)))
    (local.set $perRoots (f32x4.splat (local.get $perRoot)))
    (local.set $beta1s (f32x4.splat (local.get $beta1)))
    (local.set $rest1s (f32x4.splat (local.get $rest1)))
    (local.set $beta2s (f32x4.splat (local.get $beta2)))
    (local.set $rest2s (f32x4.splat (local.get $rest2)))
    (local.set $epss (f32x4.splat (local.get $eps)))
    (local.set $end (i32.add (local.get $params) (i32.shl (local.get $n) (i32.const 2))))
    (loop $next
      (local.set $g (f32x4.mul (v128.load (local.get $gradients)) (local.get $scales)))
      (local.set $mean
        (f32x4.add
          (f32x4.mul (v128.load (local.get $m)) (local.get $beta1s))
          (f32x4.mul (local.get $g) (local.get $rest1s))))
      (local.set $square
        (f32x4.add
          (f32x4.mul (v128.load (local.get $v)) (local.get $beta2s))
          (f32x4.mul (f32x4.mul (local.get $g) (local.get $g)) (local.get $rest2s))))
      (v128.store (local.get $m) (local.get $mean))
      (v128.store (local.get $v) (local.get $square))
      (v128.store (local.get $params)
        (f32x4.sub
          (f32x4.mul (v128.load (local.get $params)) (local.get $keeps))
          (f32x4.div
            (f32x4.mul (local.get $mean) (local.get $steps))
            (f32x4.add (f32x4.mul (f32x4.sqrt (local.get $square)) (local.get $perRoots)) (local.get $epss)))))
      (local.set $params (i32.add (local.get $params) (i32.const 16)))
      (local.set $m (i32.add (local.get $m) (i32.const 16)))
      (local.set $v (i32.add (local.get $v) (i32.const 16)))
      (local.set $gradients (i32.add (local.get $gradients) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $params) (local.get $end)))))

  ;; mean = momentum mean + rest gradients, gradients = momentum mean + rest gradients with the mean that is then
  (func (export "direction") (param $mean i32) (param $gradients i32) (param $n i32) (param $momentum f32) (param $rest f32)
    (local $end i32) (local $momentums v128) (local $rests v128) (local $fresh v128) (local $kept v128)
    (local.set $momentums (f32x4.splat (local.get $momentum)))
    (local.set $rests (f32x4.splat (local.get $rest)))
    (local.set $end (i32.add (local.get $mean) (i32.shl (local.get $n) (i32.const 2))))
    (loop $next
      (local.set $fresh (f32x4.mul (v128.load (local.get $gradients)) (local.get $rests)))
      (local.set $kept (f32x4.add (f32x4.mul (v128.load (local.get $mean)) (local.get $momentums)) (local.get $fresh)))
      (v128.store (local.get $mean) (local.get $kept))
      (v128.store (local.get $gradients) (f32x4.add (f32x4.mul (local.get $kept) (local.get $momentums)) (local.get $fresh)))
      (local.set $mean (i32.add (local.get $mean) (i32.const 16)))
      (local.set $gradients (i32.add (local.get $gradients) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $mean) (local.get $end))))))
