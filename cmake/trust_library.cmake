# libfleetseal-trust.so.0: trust/ and what it stands on, behind the C functions of <fleetseal/trust.h>, for programs of
# others. libcrypto is the only library that it needs; what it exports is in src/trust_api/exports.map.
include(GNUInstallDirs)
set(FLEETSEAL_TRUST_SOVERSION 0)

# The same objects go into our programs and into a shared library: position independent, nothing visible, and each
# function by itself, so that the library takes what it calls and no more (Boost.JSON's parser, not its containers).
foreach(module base codec crypto jose merkle sealing manifest trust trust_api)
  target_compile_options(fleetseal_${module} PRIVATE -fPIC -fvisibility=hidden -fvisibility-inlines-hidden
                         -ffunction-sections -fdata-sections)
endforeach()
target_include_directories(fleetseal_trust_api PUBLIC ${CMAKE_SOURCE_DIR}/src/trust_api/include)

set(exports ${CMAKE_SOURCE_DIR}/src/trust_api/exports.map)
add_library(fleetseal-trust SHARED $<TARGET_OBJECTS:fleetseal_trust_api>)
target_link_libraries(fleetseal-trust PRIVATE fleetseal_trust)
# GNU ld also forgets what only dropped functions called; mold keeps importing it.
target_link_options(fleetseal-trust PRIVATE -fuse-ld=bfd -Wl,--version-script=${exports} -Wl,--gc-sections -Wl,--exclude-libs,ALL)
if(NOT FLEETSEAL_SANITIZE)
  target_link_options(fleetseal-trust PRIVATE -Wl,--no-undefined)
endif()
set_target_properties(fleetseal-trust PROPERTIES LINKER_LANGUAGE CXX VERSION ${PROJECT_VERSION}
  SOVERSION ${FLEETSEAL_TRUST_SOVERSION} LINK_DEPENDS ${exports} LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
target_include_directories(fleetseal-trust INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
set_target_properties(fleetseal-trust PROPERTIES EXPORT_NAME Trust)
