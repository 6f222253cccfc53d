/* What a program's harness may call; included before every program. */
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
int __bluecode_entry(void);
char *__bluecode_text(int index);
unsigned __bluecode_length(int index);
long long __bluecode_number(int index);
double __bluecode_real(int index);
void *__bluecode_buffer(unsigned size);
int __bluecode_arguments(char ***list);
void __bluecode_keep(long long value);
void __bluecode_given(const char *text);
void __bluecode_at(unsigned line);
unsigned __bluecode_enter(void);
void __bluecode_leave(const unsigned *line);
void __bluecode_main(void);
#ifdef __cplusplus
}
#endif
/* Whoever puts the name together finds no assembler, which could read files: the name itself is
 * refused by directives.py, `#undef` included. */
#define asm _Pragma("GCC error \"no assembler here\"")
#define __asm asm
#define __asm__ asm
