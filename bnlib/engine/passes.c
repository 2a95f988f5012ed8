/* What lies between two convolutions of a network in training, on a CPU: BatchNorm, a shortcut's sum, the ReLU; and the same
   backward. Each direction is one pass over the activations that takes sums and one that makes values of them.

   Activations are (images, pixels, features), a pixel's features side by side: PyTorch's channels_last. Sums are taken over the
   pixels of an image in fp32 and over the images in fp64, in an order that does not depend on the number of threads.

   All of it waits for memory. So nothing is written that can be had otherwise: gradients take the place of what they are made
   of, and of a block's output one bit a value is kept. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Vectors as wide as the processor's registers. No instruction is named: the compiler takes what the processor has. */
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#define PAIR (2 * LANES) /* values come in two vectors: as many as one vector has of bf16 */
#define GROUP 2          /* pairs side by side: so many sums go on at once that no addition waits for the one before */

typedef float f32 __attribute__((vector_size(4 * LANES)));
typedef uint32_t u32 __attribute__((vector_size(4 * LANES)));
typedef f32 f32_there __attribute__((aligned(2), may_alias));
typedef u32 u32_there __attribute__((aligned(2), may_alias));

#define INLINE static inline __attribute__((always_inline))

/* How values lie in memory. ROUNDED: fp32 numbers that are rounded to bf16, where convolutions compute in fp32 for want of bf16
   instructions. */
enum { BF16, FP32, ROUNDED };
/* What comes behind BatchNorm: nothing, a ReLU, or a sum and then a ReLU. */
enum { NOTHING, RELU, SUM };

/* An image's values are taken as rows of `width`: of one pixel, or of several, so that narrow ones fill the vectors, too. */
typedef struct {
  size_t features, image, rows, width, padded, words; /* image: its values; padded: width, up to whole pairs; words: of signs */
} Layout;

typedef struct {
  Layout of;
  const void *x;     /* the convolution's output; under ROUNDED the bf16 copy of it, in rows of `padded`, in an order of our own */
  void *y;           /* forward: the result; under ROUNDED, while x is copied, its original. Backward: the result's gradient, */
                     /* overwritten by that of x */
  void *added;       /* forward: what is added. Backward: a second gradient of the result, overwritten by that of the sum */
  uint32_t *signs;   /* behind a sum: for each value, whether it is kept by the ReLU */
  float *sums;       /* (images, 2, features) */
  float *table;      /* (4, padded): scale, offset, slope, shift for each place of a row's vectors */
  uint32_t *feature; /* (padded): whose they are; `features` where there is none */
} Pass;

INLINE f32 where(u32 mask, f32 v) { return (f32)((u32)v & mask); }

/* To the nearest bf16, ties to even, in the upper half of each lane; what is below it is left to the caller. */
INLINE u32 rounded(f32 v) { return (u32)v + 0x7fff + ((u32)v >> 16 & 1); }
INLINE f32 as_bf16(f32 v) { return (f32)(rounded(v) & 0xffff0000); }

/* n values of p from i on. bf16 are taken out of 32-bit words, the even ones first, then the odd: so nothing has to be moved. */
INLINE void load(f32 v[2], const void *p, size_t i, int kind, int n) {
  if (kind == BF16) {
    const uint16_t *from = (const uint16_t *)p + i;
    u32 words = {0};
    if (n == PAIR) words = *(const u32_there *)from;
    else memcpy(&words, from, 2 * n);
    v[0] = (f32)(words << 16), v[1] = (f32)(words & 0xffff0000);
    return;
  }
  const float *from = (const float *)p + i;
  if (n == PAIR) {
    v[0] = *(const f32_there *)from, v[1] = *(const f32_there *)(from + LANES);
  } else {
    f32 both[2] = {{0}, {0}};
    memcpy(both, from, 4 * n);
    v[0] = both[0], v[1] = both[1];
  }
  if (kind == ROUNDED) v[0] = as_bf16(v[0]), v[1] = as_bf16(v[1]);
}

INLINE void store(void *p, size_t i, const f32 v[2], int kind, int n) {
  if (kind == BF16) {
    uint16_t *to = (uint16_t *)p + i;
    u32 words = rounded(v[0]) >> 16 | (rounded(v[1]) & 0xffff0000);
    if (n == PAIR) *(u32_there *)to = words;
    else memcpy(to, &words, 2 * n);
    return;
  }
  float *to = (float *)p + i;
  f32 both[2] = {kind == ROUNDED ? as_bf16(v[0]) : v[0], kind == ROUNDED ? as_bf16(v[1]) : v[1]};
  if (n == PAIR) *(f32_there *)to = both[0], *(f32_there *)(to + LANES) = both[1];
  else memcpy(to, both, 4 * n);
}

INLINE void load_x(f32 v[2], const Pass *p, size_t image, size_t row, size_t at, int kind, int n) {
  if (kind == ROUNDED) load(v, p->x, (image * p->of.rows + row) * p->of.padded + at, BF16, PAIR);
  else load(v, p->x, image * p->of.image + row * p->of.width + at, kind, n);
}

#define TABLE(NAME, LINE) \
  f32 NAME[GROUP][2];     \
  for (int k = 0; k < group; k++) load(NAME[k], p->table + LINE * p->of.padded + at, k * PAIR, FP32, PAIR)
#define EACH_PAIR(FROM, TO)              \
  for (size_t row = FROM; row < TO; row++) \
    for (int k = 0; k < group; k++)
/* The rows whose signs share a word of each lane. */
#define EACH_WORD                                                                      \
  for (size_t from = 0, to; from < p->of.rows; from = to, signs += LANES)              \
    if (to = from + 16 / group < p->of.rows ? from + 16 / group : p->of.rows, 1)
#define PLACE (image * p->of.image + row * p->of.width + at + k * PAIR)

/* The four passes, each over the columns [at, at + group · PAIR) of one image; of the last pair there may be only n. */

/* Σ x and Σ x². */
INLINE void forward_sums(const Pass *p, size_t image, size_t at, uint32_t *signs, float *sums, int kind, int form, int group, int n) {
  (void)form, (void)signs;
  f32 s[GROUP][2] = {0}, q[GROUP][2] = {0};
  EACH_PAIR(0, p->of.rows) {
    f32 v[2];
    load(v, kind == ROUNDED ? p->y : p->x, PLACE, kind, n);
    if (kind == ROUNDED) store((void *)p->x, (image * p->of.rows + row) * p->of.padded + at + k * PAIR, v, BF16, PAIR);
    for (int h = 0; h < 2; h++) s[k][h] += v[h], q[k][h] += v[h] * v[h];
  }
  for (int k = 0; k < group; k++) {
    store(sums, at + k * PAIR, s[k], FP32, PAIR);
    store(sums, p->of.padded + at + k * PAIR, q[k], FP32, PAIR);
  }
}

/* y = relu(x · scale + offset + added) */
INLINE void forward_values(const Pass *p, size_t image, size_t at, uint32_t *signs, float *sums, int kind, int form, int group, int n) {
  (void)sums;
  TABLE(scale, 0);
  TABLE(offset, 1);
  EACH_WORD {
    u32 bits = {0};
    uint32_t bit = 1;
    EACH_PAIR(from, to) {
      f32 v[2], other[2];
      load_x(v, p, image, row, at + k * PAIR, kind, n);
      if (form == SUM) load(other, p->added, PLACE, kind, n);
      for (int h = 0; h < 2; h++, bit <<= 1) {
        v[h] = v[h] * scale[k][h] + offset[k][h];
        if (form == SUM) v[h] += other[h];
        if (form == NOTHING) continue;
        u32 keep = (u32) ~(v[h] <= 0); /* what is not a number stays what it is */
        v[h] = where(keep, v[h]);
        if (form == SUM) bits |= keep & bit;
      }
      store(p->y, PLACE, v, kind, n);
    }
    if (form == SUM) *(u32_there *)signs = bits;
  }
}

/* Σ g and Σ g·x, for g the gradient in front of the ReLU; behind a sum it is written down, as the other branch's. */
INLINE void backward_sums(const Pass *p, size_t image, size_t at, uint32_t *signs, float *sums, int kind, int form, int group, int n) {
  f32 s[GROUP][2] = {0}, q[GROUP][2] = {0};
  TABLE(scale, 0);
  TABLE(offset, 1);
  EACH_WORD {
    u32 bits = {0};
    uint32_t bit = 1;
    if (form == SUM) bits = *(const u32_there *)signs;
    EACH_PAIR(from, to) {
      f32 v[2], g[2], other[2];
      load_x(v, p, image, row, at + k * PAIR, kind, n);
      load(g, p->y, PLACE, kind, n);
      if (form == SUM) load(other, p->added, PLACE, kind, n);
      for (int h = 0; h < 2; h++, bit <<= 1) {
        if (form == SUM) g[h] = where((u32)((bits & bit) != 0), g[h] + other[h]);
        if (form == RELU) g[h] = where((u32)(v[h] * scale[k][h] + offset[k][h] > 0), g[h]);
        s[k][h] += g[h], q[k][h] += g[h] * v[h];
      }
      if (form == SUM) store(p->added, PLACE, g, kind, n);
    }
  }
  for (int k = 0; k < group; k++) {
    store(sums, at + k * PAIR, s[k], FP32, PAIR);
    store(sums, p->of.padded + at + k * PAIR, q[k], FP32, PAIR);
  }
}

/* The gradient of x: g · scale + x · slope + shift. */
INLINE void backward_values(const Pass *p, size_t image, size_t at, uint32_t *signs, float *sums, int kind, int form, int group, int n) {
  (void)signs, (void)sums;
  TABLE(scale, 0);
  TABLE(offset, 1);
  TABLE(slope, 2);
  TABLE(shift, 3);
  EACH_PAIR(0, p->of.rows) {
    f32 v[2], g[2];
    load_x(v, p, image, row, at + k * PAIR, kind, n);
    load(g, form == SUM ? p->added : p->y, PLACE, kind, n);
    for (int h = 0; h < 2; h++) {
      if (form == RELU) g[h] = where((u32)(v[h] * scale[k][h] + offset[k][h] > 0), g[h]);
      g[h] = g[h] * scale[k][h] + v[h] * slope[k][h] + shift[k][h];
    }
    store(p->y, PLACE, g, kind, n);
  }
}

/* A whole image, as a function for each kind and form: the compiler knows both, and leaves nothing to be asked in a loop. */
typedef void Work(const Pass *, size_t image, float *sums);
#define WORDS(G) ((p->of.rows + 16 / (G) - 1) / (16 / (G)) * LANES)
#define IMAGE(NAME, KIND, FORM)                                                       \
  static void NAME##_##KIND##_##FORM(const Pass *p, size_t image, float *sums) {      \
    uint32_t *signs = p->signs + (FORM == SUM ? image * p->of.words : 0);             \
    size_t at = 0, width = p->of.width;                                               \
    for (; at + GROUP * PAIR <= width; at += GROUP * PAIR, signs += WORDS(GROUP))     \
      NAME(p, image, at, signs, sums, KIND, FORM, GROUP, PAIR);                       \
    for (; at + PAIR <= width; at += PAIR, signs += WORDS(1))                         \
      NAME(p, image, at, signs, sums, KIND, FORM, 1, PAIR);                           \
    if (at < width) NAME(p, image, at, signs, sums, KIND, FORM, 1, (int)(width - at)); \
  }
#define IMAGES(NAME)                                                                                          \
  IMAGE(NAME, BF16, NOTHING) IMAGE(NAME, BF16, RELU) IMAGE(NAME, BF16, SUM)                                   \
  IMAGE(NAME, FP32, NOTHING) IMAGE(NAME, FP32, RELU) IMAGE(NAME, FP32, SUM)                                   \
  IMAGE(NAME, ROUNDED, NOTHING) IMAGE(NAME, ROUNDED, RELU) IMAGE(NAME, ROUNDED, SUM)                          \
  static Work *const NAME##_of[3][3] = {{NAME##_BF16_NOTHING, NAME##_BF16_RELU, NAME##_BF16_SUM},             \
                                        {NAME##_FP32_NOTHING, NAME##_FP32_RELU, NAME##_FP32_SUM},             \
                                        {NAME##_ROUNDED_NOTHING, NAME##_ROUNDED_RELU, NAME##_ROUNDED_SUM}};
IMAGES(forward_sums)
IMAGES(forward_values)
IMAGES(backward_sums)
IMAGES(backward_values)

static Layout layout(size_t pixels, size_t features) {
  size_t fold = 1;
  while (fold * features % (GROUP * PAIR) && pixels % (2 * fold) == 0 && 2 * fold <= GROUP * PAIR && 2 * fold * features <= 4096) fold *= 2;
  if (fold * features % (GROUP * PAIR)) fold = 1; /* they fill no vector so, either */
  Pass of_words = {.of = {.features = features, .image = pixels * features, .rows = pixels / fold, .width = fold * features}}, *p = &of_words;
  p->of.padded = (p->of.width + PAIR - 1) / PAIR * PAIR;
  p->of.words = p->of.width / (GROUP * PAIR) * WORDS(GROUP) + (p->of.width % (GROUP * PAIR) + PAIR - 1) / PAIR * WORDS(1);
  return p->of;
}

/* How many words of signs, and how many bf16 of a copy, an image takes. */
size_t signs_size(size_t pixels, size_t features) { return layout(pixels, features).words; }
size_t copy_size(size_t pixels, size_t features) {
  Layout l = layout(pixels, features);
  return l.rows * l.padded;
}

/* The threads are PyTorch's: its OpenMP library's own functions, by which compiled code starts them. Without, all is one thread's. */
static void (*start)(void (*)(void *), void *, unsigned, unsigned);
static int (*my_number)(void), (*how_many)(void);
void use_threads(void (*parallel)(void (*)(void *), void *, unsigned, unsigned), int (*number)(void), int (*count)(void)) {
  start = parallel, my_number = number, how_many = count;
}

typedef struct {
  const Pass *p;
  Work *work;
  size_t images;
  float *sums; /* (threads, 2, padded) */
} Job;

static void do_share(const Job *job, size_t thread, size_t threads) {
  const Pass *p = job->p;
  size_t features = p->of.features, padded = p->of.padded;
  float *sums = job->sums + 2 * padded * thread;
  for (size_t image = job->images * thread / threads; image < job->images * (thread + 1) / threads; image++) {
    job->work(p, image, sums);
    float *found = p->sums + 2 * features * image;
    if (p->sums) memset(found, 0, 2 * features * sizeof(float));
    for (size_t i = 0; p->sums && i < padded; i++)
      if (p->feature[i] < features) found[p->feature[i]] += sums[i], found[features + p->feature[i]] += sums[padded + i];
  }
}
static void do_my_share(void *job) { do_share(job, my_number(), how_many()); }

/* Run `work` for all images, with two lines of the table, or four, from one and two (2, features) each. */
static void run(Pass p, Work *work, size_t images, float *sums, const float *one, const float *two, unsigned threads) {
  for (size_t i = 0; i < p.of.padded && one; i++)
    for (int line = 0; line < (two ? 4 : 2); line++)
      p.table[line * p.of.padded + i] = p.feature[i] < p.of.features ? (line < 2 ? one : two)[line % 2 * p.of.features + p.feature[i]] : 0;
  Job job = {&p, work, images, sums};
  if (start && threads > 1) start(do_my_share, &job, threads, 0);
  else do_share(&job, 0, 1);
}

/* One block of memory for what a pass needs beside the activations; returns what to free, NULL if there is none. */
static void *prepare(Pass *p, int kind, size_t images, size_t pixels, size_t features, unsigned threads, float **found, double **totals) {
  p->of = layout(pixels, features);
  size_t padded = p->of.padded, per_image = 2 * images * features;
  char *memory = malloc(2 * features * sizeof(double) + (per_image + 4 * padded + 2 * padded * threads) * sizeof(float) + padded * sizeof(uint32_t));
  if (!memory) return NULL;
  *totals = (double *)memory;
  p->sums = (float *)(*totals + 2 * features);
  p->table = p->sums + per_image;
  *found = p->table + 4 * padded;
  p->feature = (uint32_t *)(*found + 2 * padded * threads);
  for (size_t i = 0; i < padded; i++) { /* `load` has the even values of a pair of bf16 in front */
    size_t in = i % PAIR, place = kind != BF16 ? i : i - in + (in < LANES ? 2 * in : 2 * (in - LANES) + 1);
    p->feature[i] = place < p->of.width ? place % features : features;
  }
  return memory;
}

static void add_up(double *totals, const float *sums, size_t images, size_t features) {
  memset(totals, 0, 2 * features * sizeof(double));
  for (size_t image = 0; image < images; image++)
    for (size_t c = 0; c < 2 * features; c++) totals[c] += sums[2 * features * image + c];
}

/* y = relu(BatchNorm(x) + added), where `form` says so. found (4, features): mean, biased variance, and scale and offset, which
   they make with γ and β. signs: for `backward`, behind a sum. copy: under ROUNDED, for `backward` in place of x. Returns 1 where
   memory is lacking. */
int forward(const void *x, const void *added, void *y, void *copy, uint32_t *signs, const float *gamma, const float *beta, float *found,
            size_t images, size_t pixels, size_t features, double eps, int kind, int form, unsigned threads) {
  Pass p = {.x = kind == ROUNDED ? copy : x, .y = kind == ROUNDED ? (void *)x : y, .added = (void *)added, .signs = signs};
  double *totals, count = (double)images * pixels;
  float *sums;
  void *memory = prepare(&p, kind, images, pixels, features, threads, &sums, &totals);
  if (!memory) return 1;
  run(p, forward_sums_of[kind][form], images, sums, NULL, NULL, threads);
  add_up(totals, p.sums, images, features);
  for (size_t c = 0; c < features; c++) {
    /* E[x²] − mean² is safe here: a convolution's output has a mean of the order of its deviation. */
    double mean = totals[c] / count, variance = totals[features + c] / count - mean * mean;
    if (variance < 0) variance = 0;
    double scale = gamma[c] / sqrt(variance + eps);
    found[c] = mean, found[features + c] = variance, found[2 * features + c] = scale, found[3 * features + c] = beta[c] - mean * scale;
  }
  p.sums = NULL, p.y = y;
  run(p, forward_values_of[kind][form], images, sums, found + 2 * features, NULL, threads);
  free(memory);
  return 0;
}

/* The gradients behind `forward`: `gradient`, of its result, becomes that of x; `added`, a second one behind a sum, that of the sum.
   x: of `forward`, or its copy. grads (4, features): of γ, of β, and two that only this function needs. */
int backward(const void *x, void *gradient, void *added, uint32_t *signs, const float *found, float *grads, size_t images, size_t pixels,
             size_t features, double eps, int kind, int form, unsigned threads) {
  Pass p = {.x = x, .y = gradient, .added = added, .signs = signs};
  double *totals, count = (double)images * pixels;
  float *sums;
  void *memory = prepare(&p, kind, images, pixels, features, threads, &sums, &totals);
  if (!memory) return 1;
  run(p, backward_sums_of[kind][form], images, sums, found + 2 * features, NULL, threads);
  add_up(totals, p.sums, images, features);
  for (size_t c = 0; c < features; c++) {
    /* dx = γ/σ · (g − mean(g) − x̂ · mean(g·x̂)), gathered into one multiply-add for each of g and x. */
    double beta = totals[c], mean = found[c], inverse = 1 / sqrt(found[features + c] + eps), scale = found[2 * features + c];
    double gamma = (totals[features + c] - mean * beta) * inverse, slope = -scale * inverse * gamma / count;
    grads[c] = gamma, grads[features + c] = beta, grads[2 * features + c] = slope, grads[3 * features + c] = -scale * beta / count - slope * mean;
  }
  p.sums = NULL;
  run(p, backward_values_of[kind][form], images, sums, found + 2 * features, grads + 2 * features, threads);
  free(memory);
  return 0;
}
