# Warnings, hardening, sanitizers, linker and compiler cache.
add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wsuggest-override -Werror -fno-strict-aliasing)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wno-maybe-uninitialized)  # gcc 12 sees them in every moved std::variant
  if(CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
    add_compile_options(-Wno-stringop-overflow)  # gcc 14 sees them in every insert into a fresh std::vector
  endif()
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Wthread-safety)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT FLEETSEAL_SANITIZE)
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fcf-protection=full
                      -ftrivial-auto-var-init=zero -D_GLIBCXX_ASSERTIONS -fPIE)
  add_link_options($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-pie> -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed)
endif()
# CHECK is always on; assert() of libraries follows the build type.
if(FLEETSEAL_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
find_program(FLEETSEAL_CCACHE ccache)
if(FLEETSEAL_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${FLEETSEAL_CCACHE})
endif()
find_program(FLEETSEAL_MOLD mold)
if(FLEETSEAL_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
