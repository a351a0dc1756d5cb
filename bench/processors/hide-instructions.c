// Preloaded into a program, hides from CPUID the instructions that HIDDEN_FROM names, so that its libraries choose kernels as on a
// processor without them. Built and used by run.ts. Linux on x86-64, on a processor that can trap CPUID (cpuid_fault in /proc/cpuinfo).
#define _GNU_SOURCE
#include <cpuid.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define BIT(n) (1u << (n))
#define SET_CPUID 0x1012 // ARCH_SET_CPUID of arch_prctl(2); threads inherit it

typedef int set_action(int, const struct sigaction *, struct sigaction *);
static set_action *set;
// The program's own SIGSEGV handler: Node has one for WebAssembly.
static struct sigaction others;
static enum { ALL, AVX512_VNNI, AVX512, AVX_VNNI, AVX2 } kind;

static long trap(int on) { return syscall(SYS_arch_prctl, SET_CPUID, !on); }

static void hide(unsigned leaf, unsigned sub, unsigned *a, unsigned *b, unsigned *c, unsigned *d) {
  if (leaf == 7 && sub == 0) {
    *d &= ~(BIT(22) | BIT(23) | BIT(24) | BIT(25)); // AMX_BF16, AVX512_FP16, AMX_TILE, AMX_INT8
    if (kind != AVX512_VNNI) *c &= ~BIT(11);        // AVX512_VNNI
    if (kind == AVX_VNNI || kind == AVX2) {
      *b &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31)); // the rest of AVX512
      *c &= ~(BIT(1) | BIT(6) | BIT(12) | BIT(14));
      *d &= ~(BIT(2) | BIT(3) | BIT(8));
    }
  } else if (leaf == 7 && sub == 1) {
    *a &= ~(BIT(5) | BIT(21) | BIT(23) | (kind == AVX_VNNI ? 0 : BIT(4))); // AVX512_BF16, AMX_FP16, AVX_IFMA, AVX_VNNI
    *d &= ~(BIT(4) | BIT(5) | BIT(8) | BIT(10) | BIT(19));                 // AVX_VNNI_INT8 and later ones, AVX10
  } else if (leaf == 0x1d || leaf == 0x1e || leaf == 0x24) { // tiles, and AVX10
    *a = *b = *c = *d = 0;
  }
}

static void on_fault(int number, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  const unsigned char *code = (const unsigned char *)registers[REG_RIP];
  if (info->si_code == SI_KERNEL && code[0] == 0x0f && code[1] == 0xa2) { // cpuid
    unsigned leaf = registers[REG_RAX], sub = registers[REG_RCX], a, b, c, d;
    trap(0);
    __cpuid_count(leaf, sub, a, b, c, d);
    trap(1);
    hide(leaf, sub, &a, &b, &c, &d);
    registers[REG_RAX] = a, registers[REG_RBX] = b, registers[REG_RCX] = c, registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
  } else if (others.sa_flags & SA_SIGINFO) {
    others.sa_sigaction(number, info, context);
  } else if (others.sa_handler != SIG_DFL && others.sa_handler != SIG_IGN) {
    others.sa_handler(number);
  } else {
    set(SIGSEGV, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
  }
}

// Keeps the program's own handler of this signal, which ours calls.
int sigaction(int number, const struct sigaction *new, struct sigaction *old) {
  if (set == NULL) set = (set_action *)dlsym(RTLD_NEXT, "sigaction");
  if (number != SIGSEGV || kind == ALL) return set(number, new, old);
  if (old != NULL) *old = others;
  if (new != NULL) others = *new;
  return 0;
}

__attribute__((constructor)) static void begin(void) {
  static const char *const names[] = {"", "avx512-vnni", "avx512", "avx-vnni", "avx2"};
  const char *wanted = getenv("HIDDEN_FROM");
  for (int i = AVX512_VNNI; i <= AVX2; i++)
    if (wanted != NULL && strcmp(wanted, names[i]) == 0) kind = i;
  if (kind == ALL) return;
  set = (set_action *)dlsym(RTLD_NEXT, "sigaction");
  set(SIGSEGV, &(struct sigaction){.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER}, NULL);
  if (trap(1) != 0) {
    perror("this processor or kernel does not trap CPUID");
    _exit(1);
  }
}
