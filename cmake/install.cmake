# What `cmake --install` puts where. Components: cli, server, device (programs and manual pages; what Debian's packages
# take), server-units, device-units (systemd's files, with the paths of this prefix), trust, trust-dev (the library).
include(GNUInstallDirs)

function(fleetseal_install component section)
  foreach(program ${ARGN})
    install(TARGETS ${program} COMPONENT ${component} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    # A manual page is what the program's --help says.
    install(CODE "execute_process(COMMAND sh ${CMAKE_SOURCE_DIR}/packaging/manual_page.sh
        \"$<TARGET_FILE:${program}>\" ${section} ${PROJECT_VERSION}
        \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_MANDIR}/man${section}\" COMMAND_ERROR_IS_FATAL ANY)"
      COMPONENT ${component})
  endforeach()
endfunction()

# systemd's files name programs in /usr/bin; where they go elsewhere, so do the names.
function(fleetseal_install_units component)
  foreach(file ${ARGN})
    get_filename_component(folder ${file} DIRECTORY)
    get_filename_component(folder ${folder} NAME)
    if(folder STREQUAL "systemd")
      set(folder systemd/system)
    endif()
    install(FILES ${CMAKE_SOURCE_DIR}/packaging/${file} DESTINATION lib/${folder} COMPONENT ${component})
    get_filename_component(name ${file} NAME)
    install(CODE "set(installed \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/${folder}/${name}\")
        file(READ \${installed} text)
        string(REPLACE \"/usr/bin/fleetseal\" \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/fleetseal\" text \"\${text}\")
        file(WRITE \${installed} \"\${text}\")"
      COMPONENT ${component})
  endforeach()
endfunction()

fleetseal_install(cli 1 fleetseal)
# Whoever has the package only needs the runbooks too.
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs/ DESTINATION share/doc/fleetseal COMPONENT cli
        FILES_MATCHING PATTERN "*.md" PATTERN "*.yaml" PATTERN "*.svg" PATTERN examples EXCLUDE)
fleetseal_install(server 8 fleetseal-server fleetseal-signer fleetseal-sealer)
fleetseal_install(device 8 fleetseal-agent fleetseal-installer)
fleetseal_install_units(server-units systemd/fleetseal-sealer.service systemd/fleetseal-signer.service
  systemd/fleetseal-server.service sysusers.d/fleetseal.conf tmpfiles.d/fleetseal.conf)
fleetseal_install_units(device-units systemd/fleetseal-installer.service systemd/fleetseal-agent.service
  systemd/fleetseal-reboot.service systemd/fleetseal-reboot.path sysusers.d/fleetseal-device.conf
  tmpfiles.d/fleetseal-device.conf)
if(EXISTS ${CMAKE_SOURCE_DIR}/packaging/boot-control)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/packaging/boot-control/ DESTINATION lib/fleetseal/boot-control
    COMPONENT device USE_SOURCE_PERMISSIONS)
endif()

# libfleetseal-trust: what runs (trust), and what programs are built with (trust-dev).
set(trust_cmake ${CMAKE_INSTALL_LIBDIR}/cmake/FleetsealTrust)
install(TARGETS fleetseal-trust EXPORT FleetsealTrustTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT trust NAMELINK_COMPONENT trust-dev)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/src/trust_api/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  COMPONENT trust-dev FILES_MATCHING PATTERN "*.h")
install(EXPORT FleetsealTrustTargets NAMESPACE Fleetseal:: DESTINATION ${trust_cmake} COMPONENT trust-dev)
include(CMakePackageConfigHelpers)
configure_file(${CMAKE_SOURCE_DIR}/packaging/trust/FleetsealTrustConfig.cmake.in FleetsealTrustConfig.cmake COPYONLY)
write_basic_package_version_file(FleetsealTrustConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/FleetsealTrustConfig.cmake ${CMAKE_BINARY_DIR}/FleetsealTrustConfigVersion.cmake
  DESTINATION ${trust_cmake} COMPONENT trust-dev)
# The prefix is known when it is installed.
set(FLEETSEAL_PREFIX "\${CMAKE_INSTALL_PREFIX}")
configure_file(${CMAKE_SOURCE_DIR}/packaging/trust/fleetseal-trust.pc.in fleetseal-trust.pc.in @ONLY)
install(CODE "file(READ \"${CMAKE_BINARY_DIR}/fleetseal-trust.pc.in\" text)
    string(REPLACE \"\\\${CMAKE_INSTALL_PREFIX}\" \"\${CMAKE_INSTALL_PREFIX}\" text \"\${text}\")
    file(WRITE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig/fleetseal-trust.pc\" \"\${text}\")"
  COMPONENT trust-dev)
